import { counter } from '@pca/service-kit';
import { type Connection, eventsDeleted, type GoOn, inTransaction } from './connection.js';
import { type DayPartition, dayPartitions } from './day-partitions.js';
import { type Due, findDue, markSwept } from './due.js';
import { sweepIdle } from './sweep-idle.js';

const daysDropped = counter('pca_event_days_dropped_total', 'Days of behaviour events that were dropped as a whole');

/** Pages of a table that one statement looks through: some thousand rows, some ten milliseconds. */
const pagesAtOnce = 64;
/** Dropping a partition keeps everybody from `event` while it waits. */
const dropWait = '200ms';
/** Days that are empty stay for so long: what is late still finds them. */
const emptyDaysKept = 30;
const lockNotAvailable = '55P03';

/**
 * Deletes what is older than its workspace's retention, once in a UTC day, and when a retention was changed. A sweep that ends in the middle
 * is begun again: nothing is remembered but that it came through.
 */
export class RetentionSweep {
  /** One sweep, when there is something due. At most one process may be at it. */
  async work(connection: Connection, goOn: GoOn): Promise<void> {
    const due = await findDue(connection);
    if (due.length === 0) return;
    if ((await this.sweepEvents(connection, due, goOn)) && (await sweepIdle(connection, due, goOn))) await markSwept(connection, due);
  }

  /** False when something is left to do. */
  private async sweepEvents(connection: Connection, due: readonly Due[], goOn: GoOn): Promise<boolean> {
    const { rows } = await connection.query<{ nobodys: Date; old: Date }>(
      `select (today - (select max(retention_days) from workspace))::timestamp at time zone 'UTC' as nobodys,
         (today - ${emptyDaysKept})::timestamp at time zone 'UTC' as old
       from (select (now() at time zone 'UTC')::date as today) t`,
    );
    const { nobodys, old } = rows[0] as { nobodys: Date; old: Date };
    let isThrough = true;
    for (const partition of await dayPartitions(connection)) {
      if (!(await goOn())) return false;
      if (partition.end <= nobodys) {
        isThrough = (await this.drop(connection, partition, false)) && isThrough;
        continue;
      }
      const expired = due.filter(({ cutoff }) => partition.end <= cutoff).map(({ number }) => number);
      if (expired.length > 0 && !(await this.deleteRows(connection, partition, expired, goOn))) return false;
      if (partition.end <= old && (await this.isEmpty(connection, partition))) await this.drop(connection, partition, true);
    }
    return isThrough;
  }

  /** Goes through the table once, some pages at a time: a limit would begin at its dead rows again and again. */
  private async deleteRows(connection: Connection, { table }: DayPartition, workspaces: readonly number[], goOn: GoOn): Promise<boolean> {
    const { rows } = await connection.query<{ pages: number }>(
      `select (pg_relation_size($1::regclass) / current_setting('block_size')::int)::int as pages`,
      [table],
    );
    const pages = rows[0]?.pages ?? 0;
    for (let page = 0; page < pages; page += pagesAtOnce) {
      if (!(await goOn())) return false;
      const { rows: deleted } = await connection.query<{ n: number }>(
        `with gone as (
           delete from ${table} where ctid >= '(${page},0)'::tid and ctid < '(${page + pagesAtOnce},0)'::tid and workspace = any ($1::int[])
           returning workspace
         ), bereft as (
           update workspace set texts_due = 1 where texts_due = 0 and number in (select workspace from gone)
         ) select count(*)::int as n from gone`,
        [workspaces],
      );
      eventsDeleted.inc({ reason: 'retention' }, deleted[0]?.n ?? 0);
    }
    return true;
  }

  private async isEmpty(connection: Connection, { table }: DayPartition): Promise<boolean> {
    return (await connection.query(`select from ${table} limit 1`)).rows.length === 0;
  }

  /** False when somebody was in the way: readers and writers go first, and the next sweep tries again. */
  private async drop(connection: Connection, partition: DayPartition, onlyIfEmpty: boolean): Promise<boolean> {
    try {
      await inTransaction(connection, async () => {
        await connection.query(`set local lock_timeout = '${dropWait}'`);
        // Whoever makes partitions waits, and then sees that it is gone. The table before its part, as those do who read it.
        await connection.query('select pg_advisory_xact_lock(7161629399)');
        await connection.query('lock table only event in access exclusive mode');
        if (onlyIfEmpty && !(await this.isEmpty(connection, partition))) return;
        await connection.query(`drop table ${partition.table}`);
        if (!onlyIfEmpty) await connection.query('update workspace set texts_due = 1 where texts_due = 0');
        daysDropped.inc();
      });
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code !== lockNotAvailable) throw error;
      return false;
    }
  }
}
