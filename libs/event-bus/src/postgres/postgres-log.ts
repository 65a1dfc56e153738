import type { BusMessage } from '@pca/contracts';
import type pg from 'pg';
import { type PackedRows, type Topic, unpackRow } from './packed-rows.js';
import { postgresLogSchema } from './postgres-log-schema.js';

export interface StoredMessage extends BusMessage {
  readonly partition: number;
  /** Dense from 0 within the partition. */
  readonly offset: number;
}

export interface PartitionHead {
  readonly partition: number;
  /** The offset that the next message gets, which is also how many there ever were. */
  readonly nextOffset: number;
}

interface LogRow {
  end_offset: string;
  n: number;
  data: Buffer;
}

/** The statements of the log; every one is bounded in time by `queryMsMax`. */
export class PostgresLog {
  constructor(
    private readonly pool: pg.Pool,
    private readonly queryMsMax: number,
  ) {}

  async migrate(): Promise<void> {
    await this.query(postgresLogSchema);
  }

  /** Makes what is not there yet, with the number of partitions given; what is there keeps its own. */
  async ensureTopics(partitions: ReadonlyMap<string, number>): Promise<Map<string, Topic>> {
    const names = [...partitions.keys()];
    await this.query(
      `with made as (
         insert into bus.topic (name, partitions) select name, n from unnest($1::text[], $2::int[]) as t (name, n) order by name
         on conflict (name) do nothing returning id, partitions
       ) insert into bus.head (topic_id, partition) select id, p from made, generate_series(0, partitions - 1) as p`,
      [names, [...partitions.values()]],
    );
    const { rows } = await this.query<Topic & { name: string }>('select id, name, partitions from bus.topic where name = any ($1)', [
      names,
    ]);
    return new Map(rows.map(({ id, name, partitions }) => [name, { id, partitions }]));
  }

  /** Gives the rows the next offsets of their partitions, in a short transaction of its own; resolves when that is on disk. */
  async append({ topicIds, partitions, counts, sizes, data }: PackedRows): Promise<void> {
    await this.query('select bus.append($1, $2, $3, $4, $5)', [topicIds, partitions, counts, sizes, data]);
  }

  /**
   * Whole rows, from the one that holds `fromOffset` on, until they hold `messagesMax` messages or `bytesMax` bytes; at least one if there
   * is one.
   */
  async read(topic: string, partition: number, fromOffset: number, messagesMax: number, bytesMax: number): Promise<StoredMessage[]> {
    const { rows } = await this.query<LogRow>(
      `select end_offset, n, data from (
         select end_offset, n, data,
           sum(n) over w - n as messages_before, sum(octet_length(data)) over w - octet_length(data) as bytes_before
         from (
           select end_offset, n, data from bus.log
           where topic_id = (select id from bus.topic where name = $1) and partition = $2 and end_offset > $3
           order by end_offset limit $4
         ) l window w as (order by end_offset)
       ) l where messages_before < $4 and bytes_before < $5 order by end_offset`,
      [topic, partition, fromOffset, messagesMax, bytesMax],
    );
    return rows.flatMap(({ end_offset, n, data }) => {
      const first = Number(end_offset) - n;
      return unpackRow(topic, n, data).map((message, i) => ({ ...message, partition, offset: first + i }));
    });
  }

  async heads(topic: string): Promise<PartitionHead[]> {
    const { rows } = await this.query<{ partition: number; next_offset: string }>(
      `select partition, next_offset from bus.head where topic_id = (select id from bus.topic where name = $1) order by partition`,
      [topic],
    );
    return rows.map(({ partition, next_offset }) => ({ partition, nextOffset: Number(next_offset) }));
  }

  private query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<R>> {
    const query: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: this.queryMsMax };
    return this.pool.query<R>(values ? { ...query, values } : query);
  }
}
