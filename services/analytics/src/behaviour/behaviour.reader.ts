import { Injectable } from '@nestjs/common';
import { sessionedEvents, sessionedValues } from '../sessions/session-sql.js';
import { Questions } from '../questions/questions.service.js';
import type { TimeRange } from '../questions/time-range.js';
import { VocabularyReader } from '../questions/vocabulary.reader.js';

/** What people did in a range; sessions are those that began in it, with all that belongs to them. */
export interface BehaviourSums {
  /** Persons who did anything in the range. */
  readonly activeUsers: number;
  readonly sessions: number;
  readonly events: number;
  readonly pageViews: number;
  /** Bounces of the sessions, a fraction; null without a session. */
  readonly bounceRate: number | null;
  readonly averageSessionSeconds: number | null;
}

/** $5 the code of a page view, $6 those of markers, $7 and $8 the range. */
const totalsSql = `
  with ${sessionedEvents({ columns: ['name'] })},
  sessions as (
    select min(at) as started_at, extract(epoch from max(at) - min(at)) as seconds,
      count(*) filter (where name <> all ($6::int[])) = 1 and count(*) filter (where name = $5) = 1 as is_bounce
    from kept group by visit
  ),
  began as (
    select count(*)::int as sessions, avg(is_bounce::int)::float8 as "bounceRate", avg(seconds)::float8 as "averageSessionSeconds"
    from sessions where started_at >= $7::timestamptz and started_at < $8::timestamptz
  ),
  done as (
    select count(distinct person)::int as "activeUsers", count(*) filter (where name <> all ($6::int[]))::float8 as events,
      count(*) filter (where name = $5)::float8 as "pageViews"
    from seen where at >= $7::timestamptz and at < $8::timestamptz
  )
  select * from began, done`;

@Injectable()
export class BehaviourReader {
  constructor(
    private readonly questions: Questions,
    private readonly vocabulary: VocabularyReader,
  ) {}

  async totals(workspace: number, range: TimeRange, includeBots: boolean): Promise<BehaviourSums> {
    const { page, markers } = await this.vocabulary.of(workspace);
    const values = [...sessionedValues(workspace, range, includeBots, true), page, markers, range.from, range.until];
    const [sums] = await this.questions.ask<BehaviourSums>(totalsSql, values);
    return sums as BehaviourSums;
  }
}
