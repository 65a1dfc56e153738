import { Injectable } from '@nestjs/common';
import { postgresZone } from '../questions/time-range.js';
import { Questions } from '../questions/questions.service.js';
import { VocabularyReader } from '../questions/vocabulary.reader.js';
import { everything, ofPersons, sessionedEvents, sessionedValues } from '../sessions/session-sql.js';
import { textKinds } from '../timelines/dictionary.js';

export interface FavouriteFeature {
  readonly event: string;
  readonly count: number;
}

/** What a person did in all, by themselves where a session was shared. */
export interface UserStats {
  readonly events: number;
  readonly pageViews: number;
  readonly sessions: number;
  /** Calendar days of the workspace with an event. */
  readonly activeDays: number;
  readonly averageSessionSeconds: number | null;
  /** What they did most, page views apart. */
  readonly favouriteFeatures: readonly FavouriteFeature[];
  readonly firstSeenAt: Date | null;
  readonly lastSeenAt: Date | null;
}

const favouritesMax = 5;

const nothing: UserStats = {
  events: 0,
  pageViews: 0,
  sessions: 0,
  activeDays: 0,
  averageSessionSeconds: null,
  favouriteFeatures: [],
  firstSeenAt: null,
  lastSeenAt: null,
};

/** $5 persons, $6 the code of a page view, $7 those of markers, $8 the time zone. */
const statsSql = `
  with ${sessionedEvents({ columns: ['name'], where: ofPersons('$5') })},
  totals as (
    select person, count(*) filter (where name <> all ($7::int[]))::int as events, count(*) filter (where name = $6)::int as "pageViews",
      count(distinct (at at time zone $8)::date)::int as "activeDays", min(at) as "firstSeenAt", max(at) as "lastSeenAt"
    from kept group by person
  ),
  sessions as (
    select person, count(*)::int as sessions, avg(seconds)::float8 as "averageSessionSeconds"
    from (select person, extract(epoch from max(at) - min(at)) as seconds from kept group by person, visit) s group by person
  ),
  features as (
    select k.person, d.text as event, count(*)::int as count,
      row_number() over (partition by k.person order by count(*) desc, d.text) as rank
    from kept k join dictionary d on d.workspace = $1 and d.kind = ${textKinds.name.number} and d.code = k.name
    where k.name <> $6 and k.name <> all ($7::int[]) group by k.person, d.text
  )
  select t.*, s.sessions, s."averageSessionSeconds",
    (select coalesce(json_agg(json_build_object('event', f.event, 'count', f.count) order by f.rank), '[]')
     from features f where f.person = t.person and f.rank <= ${favouritesMax}) as "favouriteFeatures"
  from totals t join sessions s on s.person = t.person`;

@Injectable()
export class UserStatsReader {
  constructor(
    private readonly questions: Questions,
    private readonly vocabulary: VocabularyReader,
  ) {}

  /** In the order of `persons`. Adds up in the database, so that nobody's million events come here. */
  async of(workspace: number, persons: readonly number[], timeZone: string, includeBots: boolean): Promise<UserStats[]> {
    const { page, markers } = await this.vocabulary.of(workspace);
    const values = [...sessionedValues(workspace, everything, includeBots, false), persons, page, markers, postgresZone(timeZone)];
    const rows = await this.questions.ask<{ person: number } & UserStats>(statsSql, values);
    const byPerson = new Map(rows.map(({ person, ...stats }) => [person, stats]));
    return persons.map((person) => byPerson.get(person) ?? nothing);
  }
}
