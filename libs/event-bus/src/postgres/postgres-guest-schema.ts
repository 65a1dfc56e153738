/**
 * Functions for programs that are not ours and speak SQL alone; AsyncAPI points at them.
 *
 * - `bus.publish(topic, key, envelope)`: durable when its transaction is. The partition is chosen as every other publisher chooses it. It
 *   holds the lock of the partition until the caller's transaction ends, so that is to be short.
 * - `bus.read(topic, partition, from_offset, messages_max)`: positions are the reader's own to keep. A message with a `consumer_group` is for
 *   that group alone.
 * - `bus.read_rows(topic, partition, from_offset, messages_max)`: the rows that hold these messages, whole: the first may begin before the
 *   offset, the last end behind the maximum. For bulk topics: SQL cannot decompress, so that `bus.read` fails as soon as it meets a
 *   compressed row. `data` is n lines `{"key":…,"envelope":…}` joined by line feeds; where it begins with a zero byte, that and four
 *   bytes of size come before a zstd frame of them.
 */
export const postgresGuestSchema = `
create or replace function bus.partition_of(in_key text, in_partitions int) returns int language plpgsql immutable as $$
declare
  -- MurmurHash2 as Kafka's default partitioner has it, in 64 bits cut to 32.
  bytes bytea := convert_to(in_key, 'UTF8');
  length int := octet_length(convert_to(in_key, 'UTF8'));
  m constant bigint := 1540483477;
  mask constant bigint := 4294967295;
  h bigint := (2538058380::bigint # length) & mask;
  k bigint;
  at int := 0;
begin
  while at + 4 <= length loop
    k := get_byte(bytes, at) + 256 * (get_byte(bytes, at + 1) + 256 * (get_byte(bytes, at + 2) + 256 * get_byte(bytes, at + 3)::bigint));
    k := (k * m) & mask;
    k := ((k # (k >> 24)) * m) & mask;
    h := ((h * m) & mask) # k;
    at := at + 4;
  end loop;
  if at < length then
    for rest in reverse length - 1 .. at loop
      h := h # (get_byte(bytes, rest)::bigint << (8 * (rest - at)));
    end loop;
    h := (h * m) & mask;
  end if;
  h := ((h # (h >> 13)) * m) & mask;
  h := h # (h >> 15);
  return (h & 2147483647) % in_partitions;
end $$;
create or replace function bus.publish(in_topic text, in_key text, in_envelope jsonb) returns void language plpgsql as $$
declare
  topic bus.topic;
  line bytea;
begin
  select * into topic from bus.topic where name = in_topic;
  if topic.id is null then
    raise exception 'there is no topic %', in_topic using errcode = 'no_data_found';
  end if;
  if in_key is null or in_envelope ->> 'id' is null or in_envelope ->> 'type' is null then
    raise exception 'a message has a key, and an envelope with id and type' using errcode = 'invalid_parameter_value';
  end if;
  line := convert_to(format('{"key":%s,"envelope":%s}', to_json(in_key), in_envelope), 'UTF8');
  if octet_length(line) > 1048576 or octet_length(convert_to(in_key, 'UTF8')) not between 1 and 1024 then
    raise exception 'a message has at most 1048576 bytes, and its key 1 to 1024' using errcode = 'program_limit_exceeded';
  end if;
  perform bus.append(array[topic.id], array[bus.partition_of(in_key, topic.partitions)], array[1], array[octet_length(line)], line);
end $$;
create or replace function bus.lines_of(in_data bytea) returns text language plpgsql immutable as $$
begin
  if substring(in_data from 1 for 1) = '\\x00' then
    raise exception 'the messages of this topic are compressed' using errcode = 'feature_not_supported',
      hint = 'bus.read_rows gives them as they are stored, for zstd to decompress.';
  end if;
  return convert_from(in_data, 'UTF8');
end $$;
create or replace function bus.read_rows(in_topic text, in_partition int, in_from_offset bigint, in_messages_max int)
returns table (first_offset bigint, n int, data bytea) language sql stable as $$
  select f.end_offset - f.n, f.n, f.data
  from bus.topic t cross join lateral bus.fetch(array[t.id], array[in_partition], array[in_from_offset], in_messages_max, 8388608) f
  where t.name = in_topic order by 1
$$;
create or replace function bus.read(in_topic text, in_partition int, in_from_offset bigint, in_messages_max int)
returns table ("offset" bigint, key text, envelope json, consumer_group text) language sql stable as $$
  select * from (
    select r.first_offset + m.i - 1 as "offset", m.line::json ->> 'key', m.line::json -> 'envelope', m.line::json ->> 'consumerGroup'
    from bus.read_rows(in_topic, in_partition, in_from_offset, in_messages_max) r
    cross join lateral string_to_table(bus.lines_of(r.data), E'\\n') with ordinality as m (line, i)
  ) l where l."offset" >= in_from_offset order by 1 limit in_messages_max
$$;
`;
