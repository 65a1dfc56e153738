import type { BusMessage } from '@pca/contracts';
import type { EventPublisher } from './event-publisher.js';

/** A message as a consumer gets it. */
export interface DeliveredMessage extends BusMessage {
  readonly partition: number;
  /** Position within the partition; grows, and may have gaps. */
  readonly offset: number;
  /** Which attempt at handling this message this is, from 1. */
  readonly attempt: number;
}

/** What became of a message. Skipped and dead-lettered ones say why; both count as done. */
export type Outcome =
  | { readonly is: 'handled' }
  | { readonly is: 'skipped'; readonly reason: string }
  | { readonly is: 'deadLettered'; readonly reason: string };

export const handled: Outcome = { is: 'handled' };
export const skipped = (reason: string): Outcome => ({ is: 'skipped', reason });
export const deadLettered = (reason: string): Outcome => ({ is: 'deadLettered', reason });

/**
 * Handles messages of one partition, in their order. Answers with one outcome for each, or with nothing when all were handled. A throw
 * means "try again": of a DomainError SERVICE_UNAVAILABLE (something that the handler needs is away, which is not the messages' fault)
 * without limit, of anything else up to `attemptsMax` times, in ever smaller batches, until the message that cannot be handled is found.
 */
export type BatchHandler = (messages: readonly DeliveredMessage[]) => Promise<readonly Outcome[] | void>;

export interface ConsumeOptions {
  readonly topics: readonly string[];
  readonly handle: BatchHandler;
  /** Messages of one call to the handler, at most. 1 to 10,000; 1,000 where nothing is said. */
  readonly batchSize?: number;
  /**
   * Calls to the handler at once, at most; 4 where nothing is said. Partitions go side by side; where there are fewer of them than that, the
   * keys of a partition do.
   */
  readonly concurrency?: number;
  /**
   * How far apart the batches of a partition begin at least, in milliseconds, but for full ones and the first after a pause: messages that
   * come one by one are then handled together, where a batch costs much and a little later is soon enough. 0 where nothing is said.
   */
  readonly lingerMs?: number;
  /** Attempts at a message before it becomes a dead letter; 5 where nothing is said. */
  readonly attemptsMax?: number;
  /** Pause after the first failure, which doubles from one to the next up to ten seconds; 100 where nothing is said. */
  readonly retryMs?: number;
}

export interface SubscribeOptions extends ConsumeOptions {
  /** The consumer group: each message goes to one of its members, and the group's position outlives them all. */
  readonly group: string;
  /**
   * Under each number the group's positions begin anew, which is how it replays: 0 where nothing is said. Dead letters, reports and messages
   * for the group alone know its name only; `lag` and `seek` take `positionsName`.
   */
  readonly generation?: number;
  /** Where a group that has no position yet begins; `earliest` where nothing is said. */
  readonly from?: 'earliest' | 'latest';
}

/** The name under which the positions of a group in a generation are kept. `#` is in no group's name. */
export const positionsName = (group: string, generation: number): string => (generation === 0 ? group : `${group}#${generation}`);

export interface BroadcastOptions extends ConsumeOptions {
  /** `latest`, which is what is published after the call resolves, where nothing is said; `earliest`: everything that is kept. */
  readonly from?: 'earliest' | 'latest';
}

/** A running consumer. */
export interface Subscription {
  /** Begins no call to the handler from now on; those under way end. Its partitions stay its own. */
  pause(): void;
  resume(): void;
  /** Each call to the handler begins so many milliseconds later; 0 ends it. */
  delay(ms: number): void;
  /** The partitions that are this member's now, by topic, each with the offset before which everything is done. */
  positions(): Readonly<Record<string, ReadonlyMap<number, number>>>;
  /** Begins nothing new, waits for the calls under way, keeps what they did, and gives the partitions to others. */
  close(): Promise<void>;
}

/**
 * The bus. Every adapter keeps these promises, and the contract suite in `test/` holds it to them:
 *
 * - **At least once.** A message counts as done when its handler has answered, and not before. What a crash, a rebalance or a broken
 *   connection leaves open is delivered again, to whoever has the partition then. An inbox (`@pca/outbox`) makes that exactly-once effect.
 * - **Order per key.** Within a group, messages of one topic and key are handled in the order in which they were published, one after the
 *   other; a message that is tried again holds those behind it. After a crash or rebalance, what is delivered again comes in that order too.
 * - **Poison.** Attempts are counted durably before handling, so a message that kills its process counts as well; after `attemptsMax` it goes
 *   to `<topic>.dead-letters` with its reason, as does at once what is no message at all. Nothing is dropped, and nothing waits for ever
 *   behind it.
 * - **Bounded.** A consumer holds at most two fetches of each of its partitions; one that is slower than its producer grows no memory, only
 *   lag.
 * - **Balanced.** The partitions of a topic are shared by the living members of the group. When one leaves, cleanly or by kill -9, the others
 *   take over what it had.
 *
 * An unreachable bus is SERVICE_UNAVAILABLE where a call can say so, and otherwise something that a subscription gets over by itself.
 */
export interface EventBus extends EventPublisher {
  /** Joins a consumer group. Resolves when the group's position is fixed; topics that are not there yet are made. */
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /**
   * Gives this process every message, beside all others: cache invalidation, control. Nothing is remembered when it closes. What cannot be
   * handled is reported and passed over: there is no group for which a dead letter could be redriven.
   */
  broadcast(options: BroadcastOptions): Promise<Subscription>;
  /** Closes the subscriptions, then takes no more, waits until every publish has settled, and lets go of its connections. */
  close(): Promise<void>;
}

/** What is kept of one partition: from `start` to before `end`. */
export interface PartitionOffsets {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  /** Next offset that the group will handle. */
  readonly position: number;
  /** Messages that the group has not done yet. */
  readonly lag: number;
}

/** For operators and their commands. */
export interface EventBusAdmin {
  /** Rejects with SERVICE_UNAVAILABLE when the bus does not answer. */
  ping(): Promise<void>;
  /** Empty when there is no such topic. */
  offsets(topic: string): Promise<readonly PartitionOffsets[]>;
  /** Of every partition in which the group has a position. */
  lag(group: string): Promise<readonly PartitionLag[]>;
  /**
   * Moves a group to the start or the end of a topic, or to an offset in each partition named. CONFLICT while the group has members;
   * NOT_FOUND when there is no such topic.
   */
  seek(group: string, topic: string, to: 'earliest' | 'latest' | ReadonlyMap<number, number>): Promise<void>;
}
