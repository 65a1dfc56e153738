import { type Queryable, rowsOf } from './outbox-table.js';

/** A row of the outbox that could never be published. */
export interface DeadRow {
  readonly id: string;
  readonly topic: string;
  readonly enqueuedAt: Date;
  readonly diedAt: Date;
  readonly reason: string;
  /** The message as it stood in the outbox, at most its first 200 characters. */
  readonly message: string;
}

/** How long a dead row is kept for somebody to look at. */
const keepDays = 30;
const listMax = 1_000;

/** The oldest first, a thousand at most. */
export const deadRows = async (database: Queryable): Promise<DeadRow[]> =>
  rowsOf<DeadRow>(
    await database.query(
      `select id::text, topic, enqueued_at as "enqueuedAt", died_at as "diedAt", reason, left(message, 200) as message
       from outbox_dead d order by d.id limit $1`,
      [listMax],
    ),
  );

/**
 * Puts dead rows back into the outbox, in their order, and behind whatever of the same keys was published since; one alone, or all. Returns
 * how many. A row that can still not be published dies again.
 */
export const redriveDeadRows = async (database: Queryable, id?: string): Promise<number> => {
  const [row] = rowsOf<{ count: number }>(
    await database.query(
      `with taken as (delete from outbox_dead where $1::bigint is null or id = $1 returning id, topic, message),
       back as (insert into outbox (topic, message) select topic, message from taken order by id returning 1)
       select count(*)::int as count from back`,
      [id ?? null],
    ),
  );
  return row?.count ?? 0;
};

/** Drops what nobody wanted for a month. */
export const pruneDeadRows = async (database: Queryable): Promise<void> => {
  await database.query(`delete from outbox_dead where died_at < now() - make_interval(days => $1)`, [keepDays]);
};

/** How many rows are dead. */
export const countDeadRows = async (database: Queryable): Promise<number> =>
  rowsOf<{ count: number }>(await database.query('select count(*)::int as count from outbox_dead'))[0]?.count ?? 0;
