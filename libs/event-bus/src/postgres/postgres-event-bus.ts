import type { BusMessage } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import pg from 'pg';
import { AppendQueue, type AppendQueueLimits } from '../append-queue.js';
import { type EncodedMessage, encodeMessage, messageBytesMaxDefault } from '../encode-message.js';
import type { EventBusObserver, EventPublisher } from '../event-publisher.js';
import { packRows, type Topic } from './packed-rows.js';
import { type PartitionHead, PostgresLog, type StoredMessage } from './postgres-log.js';

export interface PostgresEventBusLimits extends AppendQueueLimits {
  readonly messageBytesMax: number;
  /** What one `read` returns at most. */
  readonly readMessagesMax: number;
  /**
   * How long one statement may take, and how long a connection may take to open. A publish waits for two batches at most, so it settles in
   * a few times this.
   */
  readonly queryMsMax: number;
}

export const postgresEventBusLimits: PostgresEventBusLimits = {
  messageBytesMax: messageBytesMaxDefault,
  batchMessagesMax: 5_000,
  batchBytesMax: 8 * 1024 * 1024,
  queueMessagesMax: 50_000,
  queueBytesMax: 64 * 1024 * 1024,
  readMessagesMax: 10_000,
  queryMsMax: 10_000,
};

export type PostgresEventBusOptions = ({ readonly url: string } | { readonly pool: pg.Pool }) & {
  /** Partitions of a topic that is not there yet; those not named here get 8. A topic that is there keeps its number. */
  readonly topics?: Readonly<Record<string, { readonly partitions: number }>>;
  readonly limits?: Partial<PostgresEventBusLimits>;
  readonly observer?: EventBusObserver;
};

export interface ReadRequest {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  readonly limit: number;
}

const partitionsDefault = 8;

/**
 * The bus as a log in a Postgres database that belongs to it alone. Nothing here runs inside a business transaction: an append holds the
 * locks of its partitions through its commit, and what a writer must commit together with its rows goes through the outbox.
 */
export class PostgresEventBus implements EventPublisher {
  private readonly queue: AppendQueue<EncodedMessage>;
  private topics = new Map<string, Topic>();
  private closed: Promise<void> | undefined;

  private constructor(
    private readonly log: PostgresLog,
    private readonly limits: PostgresEventBusLimits,
    private readonly options: PostgresEventBusOptions,
    private readonly endPool: () => Promise<void>,
  ) {
    this.queue = new AppendQueue((messages) => this.append(messages), limits);
  }

  /**
   * Opens the bus and makes its tables if they are not there. A pool that is handed in stays the caller's, errors of its idle connections
   * included.
   */
  static async connect(options: PostgresEventBusOptions): Promise<PostgresEventBus> {
    const limits = { ...postgresEventBusLimits, ...options.limits };
    const pool = 'pool' in options ? options.pool : openPool(options.url, limits.queryMsMax, options.observer);
    const log = new PostgresLog(pool, limits.queryMsMax);
    const bus = new PostgresEventBus(log, limits, options, async () => ('pool' in options ? undefined : pool.end()));
    try {
      await log.migrate();
      await bus.topicsOf(Object.keys(options.topics ?? {}));
    } catch (error) {
      await bus.endPool();
      throw unavailable('The event bus cannot be opened', error);
    }
    return bus;
  }

  async publish(messages: readonly BusMessage[]): Promise<void> {
    if (this.closed) throw unavailable('The event bus is closed');
    if (messages.length === 0) return;
    const encoded = messages.map((message) => encodeMessage(message, this.limits.messageBytesMax));
    await this.queue.push(
      encoded,
      encoded.reduce((sum, { bytes }) => sum + bytes, 0),
    );
  }

  /**
   * Messages of one partition in the order of their offsets, from `fromOffset` on: none beyond `limit` (1 to `readMessagesMax`), perhaps
   * fewer (memory is bounded too), and none only when there is none yet.
   */
  async read({ topic, partition, fromOffset, limit }: ReadRequest): Promise<StoredMessage[]> {
    const { readMessagesMax } = this.limits;
    if (!Number.isSafeInteger(fromOffset) || fromOffset < 0 || !Number.isInteger(limit) || limit < 1 || limit > readMessagesMax) {
      const message = `A read starts at an offset from 0 and takes 1 to ${readMessagesMax} messages`;
      throw new DomainError('BAD_USER_INPUT', message, { fromOffset, limit });
    }
    const messages = await this.log.read(topic, partition, fromOffset, limit, this.limits.batchBytesMax);
    return messages.filter(({ offset }) => offset >= fromOffset).slice(0, limit);
  }

  /** How far each partition of a topic goes; empty when there is no such topic. */
  heads(topic: string): Promise<PartitionHead[]> {
    return this.log.heads(topic);
  }

  /** Takes no more, waits until everything taken has settled, and lets go of its own connections. */
  close(): Promise<void> {
    this.closed ??= this.queue.drain().then(() => this.endPool());
    return this.closed;
  }

  private async append(messages: readonly EncodedMessage[]): Promise<void> {
    const started = performance.now();
    const counts = new Map<string, number>();
    for (const { topic } of messages) counts.set(topic, (counts.get(topic) ?? 0) + 1);
    try {
      await this.log.append(packRows(messages, await this.topicsOf([...counts.keys()])));
    } catch (error) {
      // A partition that is gone means that the database was made anew: learn the topics again.
      this.topics.clear();
      for (const [topic, count] of counts) this.options.observer?.publishFailed?.(topic, count, error);
      throw unavailable('The event bus did not confirm the messages; publish them again', error);
    }
    const seconds = (performance.now() - started) / 1000;
    for (const [topic, count] of counts) this.options.observer?.published?.(topic, count, seconds);
  }

  /** Bounded by the topics that the program's own contracts name. */
  private async topicsOf(names: readonly string[]): Promise<ReadonlyMap<string, Topic>> {
    const missing = names.filter((name) => !this.topics.has(name));
    if (missing.length > 0) {
      const configured = this.options.topics ?? {};
      const partitions = new Map(missing.map((name) => [name, configured[name]?.partitions ?? partitionsDefault]));
      for (const [name, topic] of await this.log.ensureTopics(partitions)) this.topics.set(name, topic);
    }
    return this.topics;
  }
}

const openPool = (url: string, queryMsMax: number, observer: EventBusObserver | undefined): pg.Pool => {
  const pool = new pg.Pool({
    connectionString: url,
    max: 3,
    connectionTimeoutMillis: queryMsMax,
    // The server gives up as well, so that a statement whose caller is gone does not append long after it was published again.
    statement_timeout: queryMsMax,
    keepAlive: true,
    application_name: 'pca-event-bus',
  });
  pool.on('error', (error) => observer?.connectionLost?.(error));
  return pool;
};

const unavailable = (message: string, cause?: unknown): DomainError => new DomainError('SERVICE_UNAVAILABLE', message, {}, { cause });
