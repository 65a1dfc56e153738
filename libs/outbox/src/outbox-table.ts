/** A connection inside a transaction: a pg client, or TypeORM's EntityManager or QueryRunner. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<unknown>;
}

/**
 * Makes the `outbox` table in the first schema of the search path, if it is not there: one statement, for a service's own migration. The
 * lock is there because two processes that make a table at once fail even with `if not exists`; messages live for moments, so they are not
 * compressed.
 */
export const outboxTableSql = `do $$ begin
  perform pg_advisory_xact_lock(7161629302);
  if to_regclass('outbox') is null then
    create table outbox (
      id bigint generated always as identity primary key,
      enqueued_at timestamptz not null default clock_timestamp(),
      topic text not null,
      message text not null
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
    alter table outbox alter column message set storage external;
  end if;
end $$`;

export const ensureOutboxTable = async (database: Queryable): Promise<void> => {
  await database.query(outboxTableSql);
};
