import { Injectable } from '@nestjs/common';
import { Questions } from '../questions/questions.service.js';
import type { TimeRange } from '../questions/time-range.js';
import { VocabularyReader } from '../questions/vocabulary.reader.js';
import { encodeSessionId } from '../sessions/session-id.js';
import { ofPersons, sessionedEvents, sessionedValues } from '../sessions/session-sql.js';
import { textKinds } from '../timelines/dictionary.js';

/** What a person did, once or several times in a row. */
export interface JourneyStep {
  readonly at: Date;
  readonly lastAt: Date;
  /** The page of a page view, else the event. */
  readonly step: string;
  readonly event: string;
  readonly page: string | null;
  readonly resource: string | null;
  readonly count: number;
  readonly sessionId: string;
}

interface StepRow extends Omit<JourneyStep, 'step' | 'sessionId'> {
  person: number;
  is_page_view: boolean;
  session_name: string | null;
  began: Date;
}

const text = (kind: number, code: string): string =>
  `(select d.text from dictionary d where d.workspace = $1 and d.kind = ${kind} and d.code = ${code})`;
const inOrder = 'order by at, received_at, message';
const first = (column: string): string => `(array_agg(${column} ${inOrder}))[1] as ${column}`;

/** $5 persons, $6 the code of a page view, $7 those of markers, $8 and $9 the range, $10 how many of the latest for each. */
const journeySql = `
  with ${sessionedEvents({ columns: ['name', 'page', 'resource', 'received_at', 'message'], where: ofPersons('$5') })},
  begun as (select *, min(at) over (partition by person, visit) as began from kept),
  steps as (
    select *, case when name = $6 and page <> 0 then -page::bigint else name end as step
    from begun where name <> all ($7::int[]) and at >= $8::timestamptz and at < $9::timestamptz
  ),
  marked as (
    select *, ((step, visit) = (lag(step) over mine, lag(visit) over mine)) is not true as is_new
    from steps window mine as (partition by person ${inOrder})
  ),
  numbered as (
    select *, count(*) filter (where is_new) over (partition by person ${inOrder} rows unbounded preceding) as number from marked
  ),
  placed as (select *, max(number) over (partition by person) - number as newer from numbered),
  latest as (
    select person, number, min(at) as at, max(at) as last_at, count(*)::int as count, min(name) as name, min(step) < 0 as is_page_view,
      ${first('page')}, ${first('resource')}, min(session) as session, min(began) as began
    from placed where newer < $10 group by person, number
  )
  select l.person, at, last_at as "lastAt", count, is_page_view, began, (select n.name from session n where n.id = l.session) as session_name,
    ${text(textKinds.name.number, 'l.name')} as event, ${text(textKinds.page.number, 'l.page')} as page,
    ${text(textKinds.resource.number, 'l.resource')} as resource
  from latest l order by l.person, number`;

@Injectable()
export class JourneyReader {
  constructor(
    private readonly questions: Questions,
    private readonly vocabulary: VocabularyReader,
  ) {}

  /**
   * The latest steps of each person in a range, in the order of time; repeats in a row within one session are one step. In the order of
   * `persons`, all of them in one statement.
   */
  async of(workspace: number, persons: readonly number[], range: TimeRange, limit: number, includeBots: boolean): Promise<JourneyStep[][]> {
    const { page, markers } = await this.vocabulary.of(workspace);
    const values = sessionedValues(workspace, range, includeBots, true);
    const rows = await this.questions.ask<StepRow>(journeySql, [...values, persons, page, markers, range.from, range.until, limit]);
    const byPerson = Map.groupBy(rows, ({ person }) => person);
    return persons.map((person) => (byPerson.get(person) ?? []).map(stepOf));
  }
}

const stepOf = ({ person, is_page_view, session_name, began, ...row }: StepRow): JourneyStep => ({
  ...row,
  step: is_page_view ? (row.page ?? row.event) : row.event,
  sessionId: session_name ?? encodeSessionId({ person, atMs: began.getTime() }),
});
