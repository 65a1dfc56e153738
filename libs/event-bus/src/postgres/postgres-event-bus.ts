import type { BusMessage } from '@pca/contracts';
import { DomainError, isDomainError } from '@pca/errors';
import pLimit from 'p-limit';
import pg from 'pg';
import { AppendQueue, type AppendQueueLimits } from '../append-queue.js';
import { Consumer, type ConsumerHost } from '../delivery/consumer.js';
import { type EncodedMessage, encodeMessage, messageBytesMaxDefault } from '../encode-message.js';
import {
  type BroadcastOptions,
  type EventBus,
  type EventBusAdmin,
  type PartitionLag,
  type PartitionOffsets,
  positionsName,
  type SubscribeOptions,
  type Subscription,
} from '../event-bus.js';
import type { EventBusObserver } from '../event-bus-observer.js';
import { BroadcastMembership, GroupMembership, type Membership } from './membership.js';
import { packRows, type Topic } from './packed-rows.js';
import { PostgresLog, type Retention } from './postgres-log.js';
import { PostgresSubscription } from './postgres-subscription.js';

export interface PostgresEventBusLimits extends AppendQueueLimits, Retention {
  readonly messageBytesMax: number;
  /**
   * How long one statement may take, and how long a connection may take to open. A publish waits for two batches at most, so it settles in
   * a few times this.
   */
  readonly queryMsMax: number;
  /** After how long the server cuts off a member that says nothing, so that others get its partitions. */
  readonly silentMsMax: number;
  /** How often one of the processes looks after the retention. */
  readonly maintainMs: number;
}

const daySeconds = 86_400;

export const postgresEventBusLimits: PostgresEventBusLimits = {
  messageBytesMax: messageBytesMaxDefault,
  batchMessagesMax: 5_000,
  batchBytesMax: 8 * 1024 * 1024,
  queueMessagesMax: 50_000,
  queueBytesMax: 64 * 1024 * 1024,
  queryMsMax: 10_000,
  silentMsMax: 15_000,
  maintainMs: 60_000,
  keepSeconds: 7 * daySeconds,
  groupKeepSeconds: 7 * daySeconds,
  segmentSeconds: daySeconds,
  logBytesMax: 16 * 1024 ** 3,
};

export type PostgresEventBusOptions = ({ readonly url: string } | { readonly pool: pg.Pool }) & {
  /** Partitions of a topic that is not there yet; those not named here get 8. A topic that is there keeps its number. */
  readonly topics?: Readonly<Record<string, { readonly partitions: number }>>;
  readonly limits?: Partial<PostgresEventBusLimits>;
  readonly observer?: EventBusObserver;
};

const partitionsDefault = 8;

/**
 * The bus as a log in a Postgres database that belongs to it alone. Nothing here runs inside a business transaction: an append holds the
 * locks of its partitions through its commit, and what a writer must commit together with its rows goes through the outbox. Each
 * subscription keeps a connection of its own, straight to the server: neither its locks nor LISTEN work through a transaction pooler.
 */
export class PostgresEventBus implements EventBus, EventBusAdmin {
  private readonly queue: AppendQueue<EncodedMessage>;
  private readonly subscriptions = new Set<Subscription>();
  private readonly host: ConsumerHost;
  private readonly maintaining: NodeJS.Timeout;
  private topics = new Map<string, Topic>();
  private closed: Promise<void> | undefined;

  private constructor(
    private readonly pool: pg.Pool,
    private readonly log: PostgresLog,
    private readonly limits: PostgresEventBusLimits,
    private readonly options: PostgresEventBusOptions,
    private readonly endPool: () => Promise<void>,
  ) {
    this.queue = new AppendQueue((messages) => this.append(messages), limits);
    this.host = { publisher: { publish: (messages) => this.send(messages) }, observer: options.observer ?? {}, alone: pLimit(1) };
    this.maintaining = setInterval(() => void this.maintain(), limits.maintainMs).unref();
  }

  /**
   * Opens the bus and makes its tables if they are not there. A pool that is handed in stays the caller's, errors of its idle connections
   * included.
   */
  static async connect(options: PostgresEventBusOptions): Promise<PostgresEventBus> {
    const limits = { ...postgresEventBusLimits, ...options.limits };
    const pool = 'pool' in options ? options.pool : openPool(options.url, limits.queryMsMax, options.observer);
    const log = new PostgresLog(pool, limits.queryMsMax);
    const bus = new PostgresEventBus(pool, log, limits, options, async () => ('pool' in options ? undefined : pool.end()));
    try {
      await log.migrate();
      await bus.topicsOf(Object.keys(options.topics ?? {}));
    } catch (error) {
      clearInterval(bus.maintaining);
      await bus.endPool();
      throw unavailable('The event bus cannot be opened', error);
    }
    return bus;
  }

  async publish(messages: readonly BusMessage[]): Promise<void> {
    if (this.closed) throw unavailable('The event bus is closed');
    await this.send(messages);
  }

  async subscribe({ group, generation = 0, from = 'earliest', ...options }: SubscribeOptions): Promise<Subscription> {
    const consumer = new Consumer(group, options, this.host, generation);
    const positions = positionsName(group, generation);
    return this.open(consumer, async (topics) => {
      const joined = await this.log.join(positions, consumer.topics, from === 'latest');
      return new GroupMembership(positions, joined, new Map([...topics].map(([name, { partitions }]) => [name, partitions])));
    });
  }

  async broadcast({ from = 'latest', ...options }: BroadcastOptions): Promise<Subscription> {
    const consumer = new Consumer(undefined, options, this.host);
    return this.open(consumer, async (topics, last) => {
      const positions = new Map<string, Map<number, number>>();
      for (const name of consumer.topics) {
        const offsets = await this.log.offsets(name);
        const begin = ({ partition, start, end }: PartitionOffsets): number => {
          if (!last) return from === 'latest' ? end : start;
          // A log that ends before the position is another one.
          const reached = last.reached(name, partition) ?? start;
          return reached > end ? start : reached;
        };
        positions.set(name, new Map(offsets.map((each) => [each.partition, begin(each)])));
      }
      const consumed = consumer.topics.map((topic) => ({ consumerId: 0, topicId: topics.get(topic)?.id ?? 0, topic }));
      return new BroadcastMembership(consumed, positions);
    });
  }

  ping(): Promise<void> {
    return this.asked(() => this.log.ping());
  }

  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    return this.asked(() => this.log.offsets(topic));
  }

  async lag(group: string): Promise<readonly PartitionLag[]> {
    return this.asked(() => this.log.lag(group));
  }

  async seek(group: string, topic: string, to: 'earliest' | 'latest' | ReadonlyMap<number, number>): Promise<void> {
    const offsets = await this.offsets(topic);
    if (offsets.length === 0) throw new DomainError('NOT_FOUND', `There is no topic ${topic}`);
    const positions =
      typeof to === 'string' ? new Map(offsets.map(({ partition, start, end }) => [partition, to === 'earliest' ? start : end])) : to;
    await this.asked(async () => {
      await this.log.join(group, [topic], false);
      const members = await this.log.members(group, topic);
      if (members > 0) throw new DomainError('CONFLICT', `The group ${group} has ${members} members: stop them first`, { members });
      await this.log.seek(group, topic, positions);
    });
  }

  close(): Promise<void> {
    clearInterval(this.maintaining);
    this.closed ??= Promise.all([...this.subscriptions].map((subscription) => subscription.close()))
      .then(() => this.queue.drain())
      .then(() => this.endPool());
    return this.closed;
  }

  /** Retention, now; also done by itself, by one process at a time. */
  async maintain(): Promise<void> {
    const { logBytesMax } = this.limits;
    try {
      const done = await this.log.maintain(this.limits);
      if (done && done.cappedBytes > 0) this.options.observer?.capped?.(done.cappedBytes, logBytesMax);
    } catch (error) {
      this.options.observer?.connectionLost?.(error as Error);
    }
  }

  private async send(messages: readonly BusMessage[]): Promise<void> {
    if (messages.length === 0) return;
    const encoded = messages.map((message) => encodeMessage(message, this.limits.messageBytesMax));
    await this.queue.push(
      encoded,
      encoded.reduce((sum, { bytes }) => sum + bytes, 0),
    );
  }

  private async open(
    consumer: Consumer,
    join: (topics: ReadonlyMap<string, Topic>, last?: Membership) => Promise<Membership>,
  ): Promise<Subscription> {
    if (this.closed) throw unavailable('The event bus is closed');
    const membership = await this.asked(async () => join(await this.topicsOf(consumer.topics)));
    const rejoin = async (last: Membership): Promise<Membership> => {
      this.topics = new Map();
      return join(await this.topicsOf(consumer.topics), last);
    };
    const subscription: Subscription = new PostgresSubscription(this.pool, consumer, membership, rejoin, this.limits, () =>
      this.subscriptions.delete(subscription),
    );
    this.subscriptions.add(subscription);
    return subscription;
  }

  private async asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw isDomainError(error) ? error : unavailable('The event bus does not answer', error);
    }
  }

  private async append(messages: readonly EncodedMessage[]): Promise<void> {
    const started = performance.now();
    const counts = new Map<string, number>();
    for (const { topic } of messages) counts.set(topic, (counts.get(topic) ?? 0) + 1);
    try {
      await this.log.append(packRows(messages, await this.topicsOf([...counts.keys()])));
    } catch (error) {
      // A partition that is gone means that the database was made anew: learn the topics again.
      this.topics = new Map();
      for (const [topic, count] of counts) this.options.observer?.publishFailed?.(topic, count, error);
      throw unavailable('The event bus did not confirm the messages; publish them again', error);
    }
    const seconds = (performance.now() - started) / 1000;
    for (const [topic, count] of counts) this.options.observer?.published?.(topic, count, seconds);
  }

  /** Holds all of them, also when they are to be learned again meanwhile. Bounded by the topics that the program's own contracts name. */
  private async topicsOf(names: readonly string[]): Promise<ReadonlyMap<string, Topic>> {
    const known = this.topics;
    const missing = names.filter((name) => !known.has(name));
    if (missing.length > 0) {
      const configured = this.options.topics ?? {};
      const partitions = new Map(missing.map((name) => [name, configured[name]?.partitions ?? partitionsDefault]));
      for (const [name, topic] of await this.log.ensureTopics(partitions)) known.set(name, topic);
    }
    return known;
  }
}

const openPool = (url: string, queryMsMax: number, observer: EventBusObserver | undefined): pg.Pool => {
  const pool = new pg.Pool({
    connectionString: url,
    // For publishing and questions; each subscription has a connection of its own beside.
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
