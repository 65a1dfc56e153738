import type pg from 'pg';
import type { PartitionLag, PartitionOffsets } from '../event-bus.js';
import type { PackedRows, Topic } from './packed-rows.js';
import { postgresGroupSchema } from './postgres-group-schema.js';
import { postgresGuestSchema } from './postgres-guest-schema.js';
import { postgresLogSchema } from './postgres-log-schema.js';

export interface Retention {
  readonly keepSeconds: number;
  readonly groupKeepSeconds: number;
  readonly segmentSeconds: number;
  readonly logBytesMax: number;
}

/** The statements of the log that need no session; every one is bounded in time by `queryMsMax`. */
export class PostgresLog {
  constructor(
    private readonly pool: pg.Pool,
    private readonly queryMsMax: number,
  ) {}

  async migrate(): Promise<void> {
    await this.query(postgresLogSchema + postgresGroupSchema + postgresGuestSchema);
  }

  async ping(): Promise<void> {
    await this.query('select 1');
  }

  /** Makes what is not there yet, with the number of partitions given; what is there keeps its own. */
  async ensureTopics(partitions: ReadonlyMap<string, number>): Promise<Map<string, Topic>> {
    const names = [...partitions.keys()];
    await this.query('select bus.ensure_topics($1, $2)', [names, [...partitions.values()]]);
    const { rows } = await this.query<Topic & { name: string }>('select id, name, partitions from bus.topic where name = any ($1)', [
      names,
    ]);
    return new Map(rows.map(({ id, name, partitions }) => [name, { id, partitions }]));
  }

  /** Gives the rows the next offsets of their partitions, in a short transaction of its own; resolves when that is on disk. */
  async append({ topicIds, partitions, counts, sizes, data }: PackedRows): Promise<void> {
    await this.query('select bus.append($1, $2, $3, $4, $5)', [topicIds, partitions, counts, sizes, data]);
  }

  async offsets(topic: string): Promise<PartitionOffsets[]> {
    const { rows } = await this.query<{ partition: number; start: string; end: string }>(
      `select h.partition, min(s.first_offset) as start, h.next_offset as end
       from bus.topic t join bus.head h on h.topic_id = t.id join bus.segment_start s using (topic_id, partition)
       where t.name = $1 group by h.partition, h.next_offset order by h.partition`,
      [topic],
    );
    return rows.map(({ partition, start, end }) => ({ partition, start: Number(start), end: Number(end) }));
  }

  async join(group: string, topics: readonly string[], latest: boolean): Promise<{ consumerId: number; topicId: number; topic: string }[]> {
    const { rows } = await this.query<{ consumer_id: number; topic_id: number; topic: string }>(
      'select * from bus.join_group($1, $2, $3)',
      [group, topics, latest],
    );
    return rows.map(({ consumer_id, topic_id, topic }) => ({ consumerId: consumer_id, topicId: topic_id, topic }));
  }

  async lag(group: string): Promise<PartitionLag[]> {
    const { rows } = await this.query<{ topic: string; partition: number; position: string; lag: string }>(
      // What the retention took is nothing that the group has still to do.
      `select t.name as topic, u.partition, p.position, greatest(0, h.next_offset - p.position) as lag
       from bus.consumer c join bus.topic t on t.id = c.topic_id join bus.cursor u on u.consumer_id = c.id
       join bus.head h on h.topic_id = c.topic_id and h.partition = u.partition
       cross join lateral (
         select greatest(u.next_offset, min(s.first_offset)) as position from bus.segment_start s
         where s.topic_id = h.topic_id and s.partition = h.partition
       ) p
       where c.group_name = $1 order by t.name, u.partition`,
      [group],
    );
    return rows.map(({ topic, partition, position, lag }) => ({ topic, partition, position: Number(position), lag: Number(lag) }));
  }

  async members(group: string, topic: string): Promise<number> {
    const { rows } = await this.query<{ members: string | null }>(
      `select sum(bus.members(c.id)) as members from bus.consumer c join bus.topic t on t.id = c.topic_id
       where c.group_name = $1 and t.name = $2`,
      [group, topic],
    );
    return Number(rows[0]?.members ?? 0);
  }

  async seek(group: string, topic: string, positions: ReadonlyMap<number, number>): Promise<void> {
    await this.query(
      `update bus.cursor u set next_offset = p.position, attempt = 0, begun_until = 0
       from unnest($3::int[], $4::bigint[]) as p (partition, position), bus.consumer c join bus.topic t on t.id = c.topic_id
       where c.group_name = $1 and t.name = $2 and u.consumer_id = c.id and u.partition = p.partition`,
      [group, topic, [...positions.keys()], [...positions.values()]],
    );
  }

  /** What the retention did; undefined when another process is at it. */
  async maintain(retention: Retention): Promise<{ bytes: number; segments: number; cappedBytes: number } | undefined> {
    const { keepSeconds, groupKeepSeconds, segmentSeconds, logBytesMax } = retention;
    const rolled = await this.query<{ roll: boolean }>('select bus.roll(make_interval(secs => $1), $2)', [segmentSeconds, logBytesMax]);
    if (!rolled.rows[0]?.roll) return undefined;
    const { rows } = await this.query<{ bytes: string; segments: number; capped_bytes: string }>(
      'select * from bus.trim(make_interval(secs => $1), make_interval(secs => $2), $3)',
      [keepSeconds, groupKeepSeconds, logBytesMax],
    );
    const row = rows[0];
    return row && { bytes: Number(row.bytes), segments: row.segments, cappedBytes: Number(row.capped_bytes) };
  }

  private query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<R>> {
    const query: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: this.queryMsMax };
    return this.pool.query<R>(values ? { ...query, values } : query);
  }
}
