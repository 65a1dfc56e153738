import type { BusMessage } from '@pca/contracts';
import { DomainError, isDomainError } from '@pca/errors';
import pLimit from 'p-limit';
import { v7 as uuidv7 } from 'uuid';
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
import { BroadcastPositions, GroupPositions, type Offsets, type Positions } from './group/group-positions.js';
import { KafkaAdmin } from './kafka-admin.js';
import { type KafkaConnection, KafkaLink } from './kafka-link.js';
import type { KafkaMemberLimits } from './group/kafka-member.js';
import { KafkaSender } from './kafka-sender.js';
import { KafkaSubscription } from './group/kafka-subscription.js';

export interface KafkaEventBusLimits extends AppendQueueLimits, KafkaMemberLimits {
  readonly messageBytesMax: number;
  /** How long one answer of a broker may take. A publish waits for two batches at most, so it settles in a few times this. */
  readonly queryMsMax: number;
}

export const kafkaEventBusLimits: KafkaEventBusLimits = {
  messageBytesMax: messageBytesMaxDefault,
  batchMessagesMax: 5_000,
  batchBytesMax: 8 * 1024 * 1024,
  queueMessagesMax: 50_000,
  queueBytesMax: 64 * 1024 * 1024,
  queryMsMax: 10_000,
  sessionMsMax: 10_000,
  rebalanceMsMax: 60_000,
};

export interface KafkaEventBusOptions extends KafkaConnection {
  /** Partitions of a topic that is not there yet; those not named here get 8. A topic that is there keeps its number. */
  readonly topics?: Readonly<Record<string, { readonly partitions: number }>>;
  /** Brokers that keep a copy of a topic that is not there yet; what the broker itself takes where nothing is said. */
  readonly replicationFactor?: number;
  readonly limits?: Partial<KafkaEventBusLimits>;
  readonly observer?: EventBusObserver;
}

const partitionsDefault = 8;
const brokersDefault = -1;

/** The bus on Kafka brokers. Publishing goes over one connection, questions over another, and each subscription has its own. */
export class KafkaEventBus implements EventBus, EventBusAdmin {
  private readonly queue: AppendQueue<EncodedMessage>;
  private readonly subscriptions = new Set<Subscription>();
  private readonly host: ConsumerHost;
  private readonly limits: KafkaEventBusLimits;
  private readonly admin: KafkaAdmin;
  private readonly sender: KafkaSender;
  private readonly known = new Set<string>();
  private closed: Promise<void> | undefined;

  private constructor(private readonly options: KafkaEventBusOptions) {
    this.limits = { ...kafkaEventBusLimits, ...options.limits };
    const { queryMsMax, messageBytesMax } = this.limits;
    const openLink = () => new KafkaLink(options, queryMsMax);
    this.admin = new KafkaAdmin(openLink, queryMsMax, messageBytesMax, options.replicationFactor ?? brokersDefault);
    this.sender = new KafkaSender(openLink, queryMsMax);
    this.queue = new AppendQueue((messages) => this.append(messages), this.limits);
    this.host = { publisher: { publish: (messages) => this.send(messages) }, observer: options.observer ?? {}, alone: pLimit(1) };
  }

  /** Opens the bus, if a broker answers, and makes the topics that are not there. */
  static async connect(options: KafkaEventBusOptions): Promise<KafkaEventBus> {
    const bus = new KafkaEventBus(options);
    try {
      await bus.admin.ping();
      await bus.ensureTopics(Object.keys(options.topics ?? {}));
    } catch (error) {
      bus.admin.close();
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
    const name = positionsName(group, generation);
    return this.open(consumer, async (offsets) => new GroupPositions(name, this.admin, await this.fixPositions(name, offsets)), from);
  }

  async broadcast({ from = 'latest', ...options }: BroadcastOptions): Promise<Subscription> {
    const consumer = new Consumer(undefined, options, this.host);
    return this.open(
      consumer,
      (offsets) => Promise.resolve(new BroadcastPositions(`pca-broadcast-${uuidv7()}`, this.admin, offsets)),
      from,
    );
  }

  ping(): Promise<void> {
    return this.asked(() => this.admin.ping());
  }

  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    return this.asked(() => this.admin.offsets(topic));
  }

  async lag(group: string): Promise<readonly PartitionLag[]> {
    return this.asked(async () => {
      const lags: PartitionLag[] = [];
      const byTopic = Map.groupBy(await this.admin.positions(group), ({ topic }) => topic);
      for (const [topic, positions] of [...byTopic].sort(([one], [other]) => (one < other ? -1 : 1))) {
        const kept = new Map((await this.admin.offsets(topic)).map((offsets) => [offsets.partition, offsets]));
        for (const { partition, position } of positions.sort((one, other) => one.partition - other.partition)) {
          const { start, end } = kept.get(partition) ?? {};
          if (start === undefined || end === undefined) continue;
          // What the retention took is nothing that the group has still to do.
          const at = Math.max(position, start);
          lags.push({ topic, partition, position: at, lag: Math.max(0, end - at) });
        }
      }
      return lags;
    });
  }

  async seek(group: string, topic: string, to: 'earliest' | 'latest' | ReadonlyMap<number, number>): Promise<void> {
    const offsets = await this.offsets(topic);
    if (offsets.length === 0) throw new DomainError('NOT_FOUND', `There is no topic ${topic}`);
    const positions = typeof to === 'string' ? positionsAt(offsets, to) : to;
    await this.asked(async () => {
      const members = await this.admin.members(group);
      if (members === 0 && (await this.admin.setPositions(group, topic, positions))) return;
      throw new DomainError('CONFLICT', `The group ${group} has members: stop them first`, { members });
    });
  }

  close(): Promise<void> {
    this.closed ??= Promise.all([...this.subscriptions].map((subscription) => subscription.close()))
      .then(() => this.queue.drain())
      .then(() => {
        this.sender.close();
        this.admin.close();
      });
    return this.closed;
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
    positionsFrom: (offsets: Offsets) => Promise<Positions>,
    from: 'earliest' | 'latest',
  ): Promise<Subscription> {
    if (this.closed) throw unavailable('The event bus is closed');
    const positions = await this.asked(async () => {
      await this.ensureTopics(consumer.topics);
      const offsets = new Map<string, ReadonlyMap<number, number>>();
      for (const topic of consumer.topics) offsets.set(topic, positionsAt(await this.admin.offsets(topic), from));
      return positionsFrom(offsets);
    });
    const subscription = new KafkaSubscription(consumer, positions, {
      limits: this.limits,
      admin: this.admin,
      openLink: () => new KafkaLink(this.options, this.limits.queryMsMax, (error) => this.options.observer?.connectionLost?.(error)),
      ensureTopics: (topics) => this.ensureTopics(topics),
      onClosed: (closed) => this.subscriptions.delete(closed),
    });
    this.subscriptions.add(subscription);
    return subscription;
  }

  /**
   * Gives the group a position where it has none, and answers those that it could not keep: a group that has members takes positions from
   * them alone. The offsets were asked for before, so that no other subscriber's promise lies between them and the check.
   */
  private async fixPositions(group: string, offsets: Offsets): Promise<Offsets> {
    const known = await this.admin.positions(group, [...offsets.keys()]);
    const kept = new Set(known.map(({ topic, partition }) => `${topic}/${partition}`));
    for (const [topic, ofTopic] of offsets) {
      const missing = new Map([...ofTopic].filter(([partition]) => !kept.has(`${topic}/${partition}`)));
      if (missing.size > 0) await this.admin.setPositions(group, topic, missing);
    }
    return offsets;
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
      await this.ensureTopics([...counts.keys()]);
      await this.sender.send(messages);
    } catch (error) {
      // A topic may be gone: look again which there are.
      this.known.clear();
      for (const [topic, count] of counts) this.options.observer?.publishFailed?.(topic, count, error);
      throw unavailable('The event bus did not confirm the messages; publish them again', error);
    }
    const seconds = (performance.now() - started) / 1000;
    for (const [topic, count] of counts) this.options.observer?.published?.(topic, count, seconds);
  }

  /** Bounded by the topics that the program's own contracts name. */
  private async ensureTopics(names: readonly string[]): Promise<void> {
    const missing = names.filter((name) => !this.known.has(name));
    if (missing.length === 0) return;
    const configured = this.options.topics ?? {};
    await this.admin.ensureTopics(missing.map((name) => ({ name, partitions: configured[name]?.partitions ?? partitionsDefault })));
    for (const name of missing) this.known.add(name);
  }
}

const positionsAt = (offsets: readonly PartitionOffsets[], at: 'earliest' | 'latest'): Map<number, number> =>
  new Map(offsets.map(({ partition, start, end }) => [partition, at === 'earliest' ? start : end]));

const unavailable = (message: string, cause?: unknown): DomainError => new DomainError('SERVICE_UNAVAILABLE', message, {}, { cause });
