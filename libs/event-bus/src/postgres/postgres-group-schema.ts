/** The functions of consumer groups, beside the tables of `postgresLogSchema`; run after it, in the same transaction. */
export const postgresGroupSchema = `
-- Gives the group a position in every partition of the topics, which are there, unless it has one.
create or replace function bus.join_group(in_group text, in_topics text[], in_latest boolean)
returns table (consumer_id int, topic_id int, topic text) language plpgsql as $$
#variable_conflict use_column
begin
  insert into bus.consumer (group_name, topic_id) select in_group, id from bus.topic where name = any (in_topics) order by id
    on conflict (group_name, topic_id) do update set seen_at = clock_timestamp();
  insert into bus.cursor (consumer_id, partition, next_offset)
  select c.id, h.partition, case when in_latest then h.next_offset else
      (select min(s.first_offset) from bus.segment_start s where s.topic_id = h.topic_id and s.partition = h.partition) end
    from bus.consumer c join bus.topic t on t.id = c.topic_id join bus.head h on h.topic_id = c.topic_id
    where c.group_name = in_group and t.name = any (in_topics)
    on conflict do nothing;
  return query select c.id, t.id, t.name from bus.consumer c join bus.topic t on t.id = c.topic_id
    where c.group_name = in_group and t.name = any (in_topics);
end $$;
-- The sessions that hold the shared lock of a consumer.
create or replace function bus.members(in_consumer_id int) returns bigint language sql stable as $$
  select count(*) from pg_locks
  where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
    and classid = in_consumer_id::oid and objid = 2147483647::oid and objsubid = 2 and granted
$$;
-- Takes free partitions until this session has so many; the position is read once the partition is its own.
create or replace function bus.claim(in_consumer_id int, in_owned int[], in_wanted int)
returns table (partition int, next_offset bigint, attempt int, begun_until bigint) language plpgsql as $$
#variable_conflict use_column
declare
  candidate int;
  taken int := cardinality(in_owned);
begin
  for candidate in select partition from bus.cursor where consumer_id = in_consumer_id and partition <> all (in_owned) order by partition loop
    exit when taken >= in_wanted;
    if pg_try_advisory_lock(in_consumer_id, candidate) then
      taken := taken + 1;
      return query select partition, next_offset, attempt, begun_until from bus.cursor
        where consumer_id = in_consumer_id and partition = candidate;
    end if;
  end loop;
end $$;
-- Bytes of the lines that a row holds: of a compressed one they stand behind its zero byte.
create or replace function bus.bytes_of(in_data bytea) returns bigint language sql immutable as $$
  select case when substring(in_data from 1 for 1) = '\\x00'
    then ('x' || encode(substring(in_data from 2 for 4), 'hex'))::bit(32)::bigint else octet_length(in_data) end
$$;
-- Whole rows of several partitions from their offsets on: per partition until they hold so many messages, over all until they hold so many
-- bytes, and at least one row in all if there is one.
create or replace function bus.fetch(in_topic_ids int[], in_partitions int[], in_offsets bigint[], in_messages_max int, in_bytes_max bigint)
returns table (topic_id int, partition int, end_offset bigint, n int, data bytea) language sql stable as $$
  select topic_id, partition, end_offset, n, data from (
    select g.*, sum(bus.bytes_of(data)) over (order by i, end_offset) - bus.bytes_of(data) as bytes_before from (
      -- By what is stored first, which is known without reading it.
      select f.*, sum(octet_length(data)) over (order by i, end_offset) - octet_length(data) as stored_before from (
        select p.i, p.topic_id, p.partition, l.end_offset, l.n, l.data,
          sum(l.n) over (partition by p.i order by l.end_offset) - l.n as messages_before
        from unnest(in_topic_ids, in_partitions, in_offsets) with ordinality as p (topic_id, partition, from_offset, i)
        cross join lateral (
          -- Offsets tell the segment, so that only the tables from that one on are looked at.
          select coalesce((
            select s.segment from bus.segment_start s
            where s.topic_id = p.topic_id and s.partition = p.partition and s.first_offset <= p.from_offset
            order by s.segment desc limit 1), 0) as segment
        ) s
        cross join lateral (
          select end_offset, n, data from bus.log l
          where l.segment >= s.segment and l.topic_id = p.topic_id and l.partition = p.partition and l.end_offset > p.from_offset
          order by end_offset limit in_messages_max
        ) l
      ) f where messages_before < in_messages_max
    ) g where stored_before < in_bytes_max
  ) h where bytes_before < in_bytes_max order by i, end_offset
$$;
-- Opens a segment when the current one is an eighth of the bound, or is old enough and not empty; true for the one process that looks after
-- the log now.
create or replace function bus.roll(in_segment_age interval, in_bytes_max bigint) returns boolean language plpgsql as $$
declare
  newest bus.segment;
  size bigint;
begin
  if not pg_try_advisory_xact_lock(7161629303) then
    return false;
  end if;
  -- Whoever holds the lock of one partition for long must not stop all of them.
  set local lock_timeout = '1s';
  select * into newest from bus.segment order by id desc limit 1;
  size := pg_total_relation_size(format('bus.log_%s', newest.id)::regclass);
  if size > in_bytes_max / 8 or (newest.opened_at < clock_timestamp() - in_segment_age and exists (
    select from bus.head h join bus.segment_start s using (topic_id, partition)
    where s.segment = newest.id and h.next_offset > s.first_offset)) then
    begin
      perform bus.open_segment();
    exception when lock_not_available then
      null; -- It is tried again the next time.
    end;
  end if;
  return true;
end $$;
-- Appends the dead letters of a segment that is about to be dropped anew, until they are thirty days old: no group has a position among them,
-- and whoever looks after them needs longer than a week.
create or replace function bus.carry_dead_letters(in_segment int) returns void language plpgsql as $$
declare
  letters record;
  at bigint;
begin
  perform pg_advisory_xact_lock_shared(7161629302);
  perform 1 from bus.head h join bus.topic t on t.id = h.topic_id where t.name like '%.dead-letters'
    order by h.topic_id, h.partition for update of h;
  for letters in
    select l.* from bus.log l join bus.topic t on t.id = l.topic_id
    where l.segment = in_segment and t.name like '%.dead-letters' and l.appended_at > clock_timestamp() - interval '30 days'
    order by l.topic_id, l.partition, l.end_offset
  loop
    update bus.head h set next_offset = h.next_offset + letters.n where h.topic_id = letters.topic_id and h.partition = letters.partition
      returning h.next_offset into at;
    insert into bus.log (topic_id, partition, end_offset, n, appended_at, data, segment)
    values (letters.topic_id, letters.partition, at, letters.n, letters.appended_at, letters.data, (select max(id) from bus.segment));
  end loop;
end $$;
-- Drops what is older than in_keep and done by every group that had a member within in_group_keep, and, oldest first, whatever is over
-- in_bytes_max. capped_bytes are those of the second kind that were not of the first. By itself, because dropping waits for readers, and
-- nobody may wait for it longer than a moment.
create or replace function bus.trim(in_keep interval, in_group_keep interval, in_bytes_max bigint)
returns table (bytes bigint, segments int, capped_bytes bigint) language plpgsql as $$
#variable_conflict use_variable
declare
  oldest bus.segment;
  is_done boolean;
  dropped_bytes bigint;
begin
  capped_bytes := 0;
  if not pg_try_advisory_xact_lock(7161629303) then
    return;
  end if;
  set local lock_timeout = '200ms';
  update bus.consumer c set seen_at = clock_timestamp() where bus.members(c.id) > 0;
  delete from bus.consumer c where c.seen_at < clock_timestamp() - greatest(4 * in_group_keep, in_keep);
  loop
    select coalesce(sum(pg_total_relation_size(format('bus.log_%s', s.id)::regclass)), 0), count(*) into bytes, segments from bus.segment s;
    select * into oldest from bus.segment s where s.closed_at is not null order by s.id limit 1;
    exit when oldest.id is null;
    is_done := oldest.closed_at < clock_timestamp() - in_keep and not exists (
      select from bus.consumer c join bus.cursor u on u.consumer_id = c.id
      join bus.segment_start o on o.topic_id = c.topic_id and o.partition = u.partition and o.segment = oldest.id
      join bus.segment_start n on n.topic_id = c.topic_id and n.partition = u.partition and n.segment = oldest.id + 1
      -- A position before the segment, of which everything up to there was dropped, wants nothing of a segment without messages.
      where c.seen_at > clock_timestamp() - in_group_keep and greatest(u.next_offset, o.first_offset) < n.first_offset);
    exit when not is_done and bytes <= in_bytes_max;
    dropped_bytes := pg_total_relation_size(format('bus.log_%s', oldest.id)::regclass);
    begin
      if is_done then
        perform bus.carry_dead_letters(oldest.id);
      end if;
      execute format('drop table bus.log_%s', oldest.id);
    exception when lock_not_available then
      exit; -- Somebody reads for long: it is tried again the next time.
    end;
    if not is_done then
      capped_bytes := capped_bytes + dropped_bytes;
    end if;
    delete from bus.segment_start s where s.segment = oldest.id;
    delete from bus.segment s where s.id = oldest.id;
  end loop;
  return next;
end $$;
`;
