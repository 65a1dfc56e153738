import { Injectable } from '@nestjs/common';
import { Questions } from '../questions/questions.service.js';
import type { TimeRange } from '../questions/time-range.js';
import { VocabularyReader } from '../questions/vocabulary.reader.js';
import { sessionedEvents, sessionedValues } from '../sessions/session-sql.js';
import { textKinds } from '../timelines/dictionary.js';

interface Usage {
  readonly count: number;
  /** Persons who did it. */
  readonly users: number;
  /** Sessions in which it was done in the range. */
  readonly sessions: number;
}

export interface FeatureUsage extends Usage {
  readonly event: string;
  readonly resource: string | null;
}

export interface PageUsage extends Usage {
  readonly page: string;
}

export type FeatureBy = 'EVENT' | 'RESOURCE';

interface UsageSql {
  /** Column of the code that is counted by. */
  readonly by: 'name' | 'resource' | 'page';
  readonly columns: Parameters<typeof sessionedEvents>[0]['columns'];
  /** Further condition on the events, with $7. */
  readonly where: string;
  /** Further columns of a group. */
  readonly more?: string;
}

/** $5 the limit, $6 the codes of markers, $7 the code of a page view. The range needs no margin: sessions are told apart within it. */
const usageSql = ({ by, columns, where, more = '' }: UsageSql): string => `
  with ${sessionedEvents({ columns })},
  usage as (
    select ${by} as code, count(*)::float8 as count, count(distinct person)::int as users, count(distinct visit)::int as sessions${more}
    from kept where name <> all ($6::int[]) and $7::int is not null and ${where} group by ${by}
  )
  select d.text, u.* from usage u join dictionary d on d.workspace = $1 and d.kind = ${textKinds[by].number} and d.code = u.code
  order by u.count desc, d.text limit $5`;

const eventsSql = usageSql({ by: 'name', columns: ['name'], where: 'true' });
const resourcesSql = usageSql({
  by: 'resource',
  columns: ['name', 'resource'],
  where: 'resource <> 0',
  more: `, (select d.text from dictionary d where d.workspace = $1 and d.kind = ${textKinds.name.number}
      and d.code = mode() within group (order by kept.name)) as event`,
});
const pagesSql = usageSql({ by: 'page', columns: ['name', 'page'], where: 'name = $7 and page <> 0' });

@Injectable()
export class FeatureReader {
  constructor(
    private readonly questions: Questions,
    private readonly vocabulary: VocabularyReader,
  ) {}

  /** What is done most, first; by RESOURCE, `event` is what is done most often to it. */
  async features(workspace: number, range: TimeRange, limit: number, by: FeatureBy, includeBots: boolean): Promise<FeatureUsage[]> {
    const sql = by === 'EVENT' ? eventsSql : resourcesSql;
    const rows = await this.ask<Usage & { text: string; event: string }>(sql, workspace, range, limit, includeBots);
    return rows.map(({ text, event, count, users, sessions }) => ({
      ...{ count, users, sessions },
      ...(by === 'EVENT' ? { event: text, resource: null } : { event, resource: text }),
    }));
  }

  /** The pages that are viewed most, first. */
  async pages(workspace: number, range: TimeRange, limit: number, includeBots: boolean): Promise<PageUsage[]> {
    const rows = await this.ask<Usage & { text: string }>(pagesSql, workspace, range, limit, includeBots);
    return rows.map(({ text, count, users, sessions }) => ({ page: text, count, users, sessions }));
  }

  private async ask<T extends object>(sql: string, workspace: number, range: TimeRange, limit: number, includeBots: boolean): Promise<T[]> {
    const { page, markers } = await this.vocabulary.of(workspace);
    return this.questions.ask<T>(sql, [...sessionedValues(workspace, range, includeBots, false), limit, markers, page]);
  }
}
