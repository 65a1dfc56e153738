import { type Queryable, tablesLock } from '../outbox-table.js';

/**
 * Makes the `consumer_group` and `inbox` tables in the first schema of the search path, if they are not there: one statement, for a
 * service's own migration.
 *
 * - `consumer_group`: a group that consumes into this database. `generation` counts its replays; `replay_until` holds, by topic and
 *   partition, the offsets before which everything was done when the last replay began.
 * - `inbox`: what a group has handled, and in which generation. Rows of one batch share their time, so that the index by time costs next to
 *   nothing. (A BRIN index would be as good as none after the first week: pruned places are filled with new rows, and the ranges never
 *   shrink.)
 */
export const inboxTableSql = `do $$ begin
  perform ${tablesLock};
  if to_regclass('consumer_group') is null then
    create table consumer_group (
      id int generated always as identity primary key,
      name text not null unique,
      generation int not null default 0,
      replay_until jsonb not null default '{}',
      replayed_at timestamptz
    );
  end if;
  if to_regclass('inbox') is null then
    create table inbox (
      received_at timestamptz not null default now(),
      group_id int not null,
      generation int not null,
      event_id uuid not null,
      primary key (group_id, event_id)
    ) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
    create index inbox_by_time on inbox (received_at);
  end if;
end $$`;

export const ensureInboxTable = async (database: Queryable): Promise<void> => {
  await database.query(inboxTableSql);
};
