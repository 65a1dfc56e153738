/**
 * The tables of the log, as one idempotent statement list that runs in one transaction. The lock is there because two processes that create
 * the same thing at once fail even with `if not exists`.
 *
 * - `topic`: the number of partitions is fixed when the topic is made; a change would move keys and lose their order.
 * - `head`: the next offset of each partition, and the lock that an appender holds through its commit. Offsets are handed out under that
 *   lock and become visible in the same order, so a reader that has seen offset n will never find a smaller one later.
 * - `log`: one row per batch and partition, `data` = `n` lines of UTF-8 JSON, of bulk topics compressed (`packed-rows.ts`). Keyed by the
 *   offset after its last message, because "everything from offset x" is then one range of the index even when x lies inside a row.
 * - `segment`, `segment_start`: the log is cut into segments, one table each, so that retention is the dropping of a table. A segment is
 *   known by its number and by the offsets at which it begins, never by time: clocks jump.
 * - `consumer`, `cursor`: a group on a topic, and its position in each partition. Who has a partition is an advisory lock (consumer,
 *   partition) of its session, and membership a shared one (consumer, 2147483647): they end with the session, whatever ended that.
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
create table if not exists bus.segment (
  id int primary key,
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz
);
create table if not exists bus.segment_start (
  topic_id int not null,
  partition int not null,
  segment int not null references bus.segment (id),
  first_offset bigint not null,
  primary key (topic_id, partition, segment)
);
create table if not exists bus.consumer (
  id int generated always as identity primary key,
  group_name text not null,
  topic_id int not null references bus.topic (id),
  seen_at timestamptz not null default clock_timestamp(),
  unique (group_name, topic_id)
);
create table if not exists bus.cursor (
  consumer_id int not null references bus.consumer (id) on delete cascade,
  partition int not null,
  next_offset bigint not null,
  attempt int not null default 0,
  begun_until bigint not null default 0,
  primary key (consumer_id, partition)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
do $$ begin
  -- A log of the first version, in one table: it becomes the first segment.
  if (select relkind from pg_class where oid = to_regclass('bus.log')) = 'r' then
    alter table bus.log rename to log_1;
    alter table bus.log_1 drop constraint log_pkey;
    alter table bus.log_1 add column segment int not null default 1;
    alter table bus.log_1 alter column segment drop default;
  end if;
end $$;
do $$ begin
  -- Once and for all: a change of bus.log would wait for all who read it, and all others behind it.
  if to_regclass('bus.log') is not null then
    return;
  end if;
  create table bus.log (
    topic_id int not null,
    partition int not null,
    end_offset bigint not null,
    n int not null constraint log_n_check check (n > 0),
    appended_at timestamptz not null default clock_timestamp(),
    data bytea not null,
    segment int not null,
    primary key (topic_id, partition, end_offset, segment)
  ) partition by list (segment);
  begin
    alter table bus.log alter column data set compression lz4;
  exception when feature_not_supported then
    null; -- A server built without lz4 compresses with its own method: slower, and just as right.
  end;
end $$;
create or replace function bus.open_segment() returns int language plpgsql as $$
declare
  number int;
begin
  perform pg_advisory_xact_lock(7161629301);
  number := 1 + coalesce((select max(id) from bus.segment), 0);
  if to_regclass('bus.log_' || number) is null then
    execute format('create table bus.log_%s (like bus.log including defaults including constraints including compression)', number);
  end if;
  -- Attaching waits for no reader and no writer; making it a part at once would wait for all of them.
  execute format('alter table bus.log attach partition bus.log_%s for values in (%s)', number, number);
  -- No append is under way from here to the end: each holds this lock shared. Row locks would not do, because they let go a moment before
  -- others are told of the new part, and then it would be missing.
  perform pg_advisory_xact_lock(7161629302);
  -- Changed, so that an appender whose snapshot is older, as in a transaction that reads repeatably, fails in place of taking the old segment.
  update bus.head set next_offset = next_offset;
  insert into bus.segment (id) values (number);
  update bus.segment set closed_at = clock_timestamp() where id = number - 1;
  insert into bus.segment_start (topic_id, partition, segment, first_offset)
    select topic_id, partition, number, case when number = 1 then 0 else next_offset end from bus.head;
  return number;
end $$;
select bus.open_segment() where not exists (select from bus.segment);
create or replace function bus.ensure_topics(in_names text[], in_partitions int[]) returns void language plpgsql as $$
begin
  if not exists (select from unnest(in_names) as name where name not in (select t.name from bus.topic t)) then
    return;
  end if;
  -- A segment that opens meanwhile would not know where the new topic begins in it.
  perform pg_advisory_xact_lock(7161629301);
  with made as (
    insert into bus.topic (name, partitions) select name, n from unnest(in_names, in_partitions) as t (name, n) order by name
    on conflict (name) do nothing returning id, partitions
  ), headed as (
    insert into bus.head (topic_id, partition) select id, p from made, generate_series(0, partitions - 1) as p
    returning topic_id, partition
  )
  insert into bus.segment_start (topic_id, partition, segment, first_offset)
  select topic_id, partition, (select max(id) from bus.segment), 0 from headed;
end $$;
create or replace function bus.append(in_topic_ids int[], in_partitions int[], in_counts int[], in_sizes int[], in_data bytea)
returns void language plpgsql as $$
declare
  heads int;
  current_segment int;
begin
  -- Publishing promises durability, whatever default somebody gave this database.
  if current_setting('synchronous_commit') = 'off' then
    set local synchronous_commit = on;
  end if;
  perform pg_advisory_xact_lock_shared(7161629302);
  -- Sorted, so that two appenders never wait for each other in a circle.
  perform 1 from bus.head h join unnest(in_topic_ids, in_partitions) as r (topic_id, partition) using (topic_id, partition)
    order by h.topic_id, h.partition for update of h;
  get diagnostics heads = row_count;
  if heads <> cardinality(in_topic_ids) then
    raise exception 'the log has no such partition' using errcode = 'no_data_found';
  end if;
  -- Under the lock: a new segment opens only while nobody appends.
  select max(id) into current_segment from bus.segment;
  with r as (
    select *, sum(size) over (order by i) - size as start
    from unnest(in_topic_ids, in_partitions, in_counts, in_sizes) with ordinality as r (topic_id, partition, n, size, i)
  ), moved as (
    update bus.head h set next_offset = h.next_offset + r.n from r
    where h.topic_id = r.topic_id and h.partition = r.partition
    returning r.topic_id, r.partition, h.next_offset as end_offset, r.n, r.start, r.size
  )
  insert into bus.log (topic_id, partition, end_offset, n, data, segment)
  select topic_id, partition, end_offset, n, substring(in_data from (start + 1)::int for size), current_segment from moved;
  -- Once a batch and by its only writer: in every writer it would line all of them up behind one lock.
  perform pg_notify('bus', name) from bus.topic where id = any (in_topic_ids);
end $$;
`;
