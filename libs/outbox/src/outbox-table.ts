/** A connection inside a transaction: a pg client, or TypeORM's EntityManager or QueryRunner. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<unknown>;
}

/** The rows of an answer: pg wraps them, TypeORM does not. */
export const rowsOf = <R>(answer: unknown): R[] => (Array.isArray(answer) ? (answer as R[]) : (answer as { rows: R[] }).rows);

/** The one advisory lock under which the tables of this library are made. */
export const tablesLock = 'pg_advisory_xact_lock(7161629302)';

/**
 * Makes the `outbox` and `outbox_dead` tables in the first schema of the search path, if they are not there: one statement, for a service's
 * own migration. The lock is there because two processes that make a table at once fail even with `if not exists`; messages live for
 * moments, so they are not compressed.
 */
export const outboxTableSql = `do $$ begin
  perform ${tablesLock};
  if to_regclass('outbox') is null then
    create table outbox (
      id bigint generated always as identity primary key,
      enqueued_at timestamptz not null default clock_timestamp(),
      topic text not null,
      message text not null
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
    alter table outbox alter column message set storage external;
  end if;
  if to_regclass('outbox_dead') is null then
    create table outbox_dead (
      id bigint primary key,
      enqueued_at timestamptz not null,
      died_at timestamptz not null default clock_timestamp(),
      topic text not null,
      message text not null,
      reason text not null
    );
    create index outbox_dead_by_death on outbox_dead (died_at);
  end if;
end $$`;

export const ensureOutboxTable = async (database: Queryable): Promise<void> => {
  await database.query(outboxTableSql);
};
