/**
 * The tables of the log, as one idempotent statement list that runs in one transaction. The lock is there because two processes that create
 * the same thing at once fail even with `if not exists`.
 *
 * - `topic`: the number of partitions is fixed when the topic is made; a change would move keys and lose their order.
 * - `head`: the next offset of each partition, and the lock that an appender holds through its commit. Offsets are handed out under that
 *   lock and become visible in the same order, so a reader that has seen offset n will never find a smaller one later.
 * - `log`: one row per batch and partition, `data` = `n` lines of UTF-8 JSON. Keyed by the offset after its last message, because
 *   "everything from offset x" is then one range of the index even when x lies inside a row.
 */
export const postgresLogSchema = `
select pg_advisory_xact_lock(7161629301);
create schema if not exists bus;
create table if not exists bus.topic (
  id int generated always as identity primary key,
  name text not null unique,
  partitions int not null check (partitions between 1 and 1024)
);
create table if not exists bus.head (
  topic_id int not null references bus.topic (id),
  partition int not null,
  next_offset bigint not null default 0,
  primary key (topic_id, partition)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create table if not exists bus.log (
  topic_id int not null,
  partition int not null,
  end_offset bigint not null,
  n int not null check (n > 0),
  appended_at timestamptz not null default clock_timestamp(),
  data bytea not null,
  primary key (topic_id, partition, end_offset)
);
do $$ begin
  alter table bus.log alter column data set compression lz4;
exception when feature_not_supported then
  null; -- A server built without lz4 compresses with its own method: slower, and just as right.
end $$;
create or replace function bus.append(in_topic_ids int[], in_partitions int[], in_counts int[], in_sizes int[], in_data bytea)
returns void language plpgsql as $$
declare
  heads int;
begin
  -- Publishing promises durability, whatever default somebody gave this database.
  if current_setting('synchronous_commit') = 'off' then
    set local synchronous_commit = on;
  end if;
  -- Sorted, so that two appenders never wait for each other in a circle.
  perform 1 from bus.head h join unnest(in_topic_ids, in_partitions) as r (topic_id, partition) using (topic_id, partition)
    order by h.topic_id, h.partition for update of h;
  get diagnostics heads = row_count;
  if heads <> cardinality(in_topic_ids) then
    raise exception 'the log has no such partition' using errcode = 'no_data_found';
  end if;
  with r as (
    select *, sum(size) over (order by i) - size as start
    from unnest(in_topic_ids, in_partitions, in_counts, in_sizes) with ordinality as r (topic_id, partition, n, size, i)
  ), moved as (
    update bus.head h set next_offset = h.next_offset + r.n from r
    where h.topic_id = r.topic_id and h.partition = r.partition
    returning r.topic_id, r.partition, h.next_offset as end_offset, r.n, r.start, r.size
  )
  insert into bus.log (topic_id, partition, end_offset, n, data)
  select topic_id, partition, end_offset, n, substring(in_data from (start + 1)::int for size) from moved;
  -- Once a batch and by its only writer: in every writer it would line all of them up behind one lock.
  perform pg_notify('bus', name) from bus.topic where id = any (in_topic_ids);
end $$;
`;
