import type { TimeRange } from '../questions/time-range.js';
import { widened } from '../questions/time-range.js';

/** Silence that ends a session which the client did not name, minutes. */
const silenceMinutes = 30;

/**
 * How far beyond its range a question looks for the rest of sessions, milliseconds: what of a session lies further away than a day is not
 * seen, so that a question about a day reads three days and not ten years.
 */
export const sessionReachMs = 86_400_000;

type EventColumn = 'name' | 'page' | 'resource' | 'context' | 'received_at' | 'message';

export interface SessionedEvents {
  /** Beside at, session, person and visit. */
  readonly columns: readonly EventColumn[];
  /** Further conditions on the event `e` and its person `p`. */
  readonly where?: string;
}

/**
 * The common table expressions `seen` and `kept`: events with the person they belong to, `kept` with the session they fall into as well. Its
 * number `visit` is that of the session the client named, else negative: an event without a name begins a session when the same person did
 * nothing unnamed in the thirty minutes before. $1 to $4 are `sessionedValues`.
 */
export const sessionedEvents = ({ columns, where = 'true' }: SessionedEvents): string => {
  const list = (table: string): string => columns.map((column) => `, ${table}.${column}`).join('');
  return `seen as materialized (
    select e.at, e.session, p.canonical as person${list('e')}
    from event e join person p on p.id = e.person
    where e.workspace = $1 and e.at >= $2::timestamptz and e.at < $3::timestamptz and ($4::boolean or not e.is_bot) and ${where}
  ),
  kept as (
    select s.at, s.session, s.person${list('s')}, s.session::bigint as visit from seen s where s.session <> 0
    union all
    select b.at, b.session, b.person${list('b')}, -((b.person::bigint << 31) + sum(b.begins) over (partition by b.person order by b.at))
    from (
      select s.*, ((s.at - lag(s.at) over (partition by s.person order by s.at) <= interval '${silenceMinutes} minutes') is not true)::int as begins
      from seen s where s.session = 0
    ) b
  )`;
};

/** The condition that an event is of one of the canonical persons of a parameter. */
export const ofPersons = (parameter: string): string => `e.person in (select id from person where canonical = any (${parameter}::int[]))`;

/** Values of $1 to $4. `isWhole`: sessions are seen beyond the range. */
export const sessionedValues = (workspace: number, range: TimeRange, includeBots: boolean, isWhole: boolean): readonly unknown[] => {
  const { from, until } = isWhole ? widened(range, sessionReachMs) : range;
  return [workspace, from, until, includeBots];
};

/** All time. */
export const everything: TimeRange = { from: '-infinity', until: 'infinity' };
