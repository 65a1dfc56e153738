import { behaviourTopic, deadLetterTopicOf } from '@pca/contracts';
import type { ServiceBus } from '@pca/service-kit';
import { type Connection, eventsDeleted } from '../retention/connection.js';
import { type DayPartition, dayPartitions } from '../retention/day-partitions.js';
import type { TextSweep } from './text.sweep.js';

/** Persons whose events are looked for at once. */
const personsAtOnceMax = 500;
/** Rows of one transaction: some ten milliseconds. */
const rowsAtOnceMax = 5_000;
/** What of a session lies further than a day from all that its person did is not looked for, as by the questions about sessions. */
const sessionReachMs = 86_400_000;

/**
 * The bus drops a message with the day in which it was sent, when that is seven days old; another day is for clocks and for consumers that
 * are behind.
 */
export const busKeepsDays = 9;
/** Dead letters are carried on until they are thirty days old, and then dropped like messages. */
export const deadLettersKeepDays = 40;

/** Does in the background what erasures ask for, piece by piece; its state is in the database, so that it goes on wherever it ended. */
export class ErasureJob {
  constructor(
    private readonly bus: ServiceBus,
    private readonly texts: TextSweep,
  ) {}

  /** Goes on with every erasure, while `goOn` says so. At most one process may be at it. */
  async work(connection: Connection, goOn: () => boolean): Promise<void> {
    const { rows: open } = await connection.query<{ id: string }>(`select id from erasure where state = 'ERASING' order by requested_at`);
    if (open.length === 0) return;
    for (const { id } of open) while (goOn() && (await this.deleteSome(connection, id, goOn)));
    // One sweep for all of them: it looks through every day.
    if (goOn()) await this.texts.work(connection, goOn, 'erasures');
    for (const { id } of open) if (goOn()) await this.declareClean(connection, id);
  }

  /** Deletes what there is of some persons; false when there are none left. */
  private async deleteSome(connection: Connection, erasure: string, goOn: () => boolean): Promise<boolean> {
    const { rows } = await connection.query<{ person: number }>(
      `select person from erasure_person where erasure = $1 order by person limit ${personsAtOnceMax}`,
      [erasure],
    );
    if (rows.length === 0) return false;
    const persons = rows.map(({ person }) => person);
    const days = await this.daysOf(connection, persons, goOn);
    // Before the events, which say where to look, also after a crash.
    await this.giveSessions(connection, days, persons, goOn);
    const sessions = `delete from session where id = any (array(select id from session where person = any ($1::int[]) limit ${rowsAtOnceMax}))
      and person = any ($1::int[])`;
    while (goOn() && ((await connection.query(sessions, [persons])).rowCount ?? 0) > 0);
    for (const { table } of days) while (goOn() && (await this.deleteEvents(connection, erasure, table, persons)));
    if (goOn()) await connection.query('delete from erasure_person where erasure = $1 and person = any ($2::int[])', [erasure, persons]);
    return true;
  }

  /** The days on which persons did something. */
  private async daysOf(connection: Connection, persons: readonly number[], goOn: () => boolean): Promise<DayPartition[]> {
    const days: DayPartition[] = [];
    for (const day of await dayPartitions(connection)) {
      if (!goOn()) break;
      const { rows } = await connection.query(`select from ${day.table} where person = any ($1::int[]) limit 1`, [persons]);
      if (rows.length > 0) days.push(day);
    }
    return days;
  }

  /**
   * Gives their sessions in which others did something to one of these. Nobody is kept out meanwhile: whoever names such a session since the
   * erasure takes it over by `number_sessions`, so what is still theirs has no other events than those that were there then.
   */
  private async giveSessions(
    connection: Connection,
    days: readonly DayPartition[],
    persons: readonly number[],
    goOn: () => boolean,
  ): Promise<void> {
    const ends = new Set(days.flatMap(({ end }) => [-sessionReachMs, 0, sessionReachMs].map((reach) => end.getTime() + reach)));
    for (const { table, end } of await dayPartitions(connection)) {
      if (!goOn()) return;
      if (!ends.has(end.getTime())) continue;
      await connection.query(
        `update session s set person = other.person from (
           select e.session, min(e.person) as person from session o join ${table} e on e.session = o.id join person p on p.id = e.person
           where o.person = any ($1::int[]) group by e.session
         ) other where s.id = other.session and s.person = any ($1::int[])`,
        [persons],
      );
    }
  }

  /** Deletes some of a day; false when there are none left. The count is kept in the same statement: it is right whenever the process dies. */
  private async deleteEvents(connection: Connection, erasure: string, table: string, persons: readonly number[]): Promise<boolean> {
    const { rows } = await connection.query<{ n: number }>(
      `with gone as (
         delete from ${table} where ctid = any (array(select ctid from ${table} where person = any ($2::int[]) limit ${rowsAtOnceMax}))
         returning 1
       ), n as (select count(*)::int as n from gone)
       update erasure set events_deleted = events_deleted + n from n where id = $1 and n > 0 returning n`,
      [erasure, persons],
    );
    eventsDeleted.inc({ reason: 'erasure' }, rows[0]?.n ?? 0);
    return rows.length > 0;
  }

  /**
   * The stores are clean when the texts that nobody else has are gone, and the ids have left the outbox too, and do not lie among what could
   * not be published until somebody looks.
   */
  private async declareClean(connection: Connection, erasure: string): Promise<void> {
    await connection.query(
      `update erasure e set state = 'WAITING_FOR_BUS', stores_clean_at = clock_timestamp() where id = $1 and state = 'ERASING'
       and texts_freed_at is not null and not exists (select from outbox where strpos(message, e.id::text) > 0)
       and not exists (select from outbox_dead where strpos(message, e.id::text) > 0)`,
      [erasure],
    );
  }

  /** Says of erasures that they are done, when the bus has dropped what it had. SERVICE_UNAVAILABLE when the bus does not answer. */
  async finish(connection: Connection): Promise<void> {
    const waited = (days: number): string => `state = 'WAITING_FOR_BUS' and stores_clean_at < now() - interval '${days} days'`;
    const done = async (days: number): Promise<unknown> =>
      connection.query(`update erasure set state = 'DONE', done_at = clock_timestamp() where ${waited(days)}`);
    await done(deadLettersKeepDays);
    const { rows } = await connection.query(`select from erasure where ${waited(busKeepsDays)} limit 1`);
    if (rows.length > 0 && !(await this.keepsDeadLetters())) await done(busKeepsDays);
  }

  private async keepsDeadLetters(): Promise<boolean> {
    const kept = await (await this.bus.open()).offsets(deadLetterTopicOf(behaviourTopic));
    return kept.some(({ start, end }) => end > start);
  }
}
