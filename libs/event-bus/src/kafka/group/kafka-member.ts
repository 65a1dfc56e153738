import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer as KafkaConsumer, EachBatchPayload } from 'kafkajs';
import type { Consumer } from '../../delivery/consumer.js';
import type { Begun } from '../../delivery/partition-delivery.js';
import type { PartitionOffsets } from '../../event-bus.js';
import { type Place, PartitionWorker } from '../../delivery/partition-worker.js';
import { balancedAssigner } from './balanced-assigner.js';
import { CommitQueue } from './commit-queue.js';
import { crashOnFailedJoining } from './failed-joining.js';
import type { Positions } from './group-positions.js';
import type { GroupPosition, KafkaAdmin } from '../kafka-admin.js';
import { kafkaErrorType, type KafkaLink } from '../kafka-link.js';
import { fromKafka } from '../kafka-message.js';

export interface KafkaMemberLimits {
  /** After how long without a word from a member the broker gives its partitions to others. */
  readonly sessionMsMax: number;
  /** How long the others wait, when the group is shared out anew, for a member whose handler is still at it. */
  readonly rebalanceMsMax: number;
}

/** How long a fetch waits for something new, and for a partition that still has a fetch waiting, before it goes on without it. */
const waitMsMax = 100;
const heartbeatMs = 500;
/** How soon partitions that were added to a topic are seen. */
const metadataMsMax = 10_000;
const commitRetryMsMax = 1_000;
/** How long what was done is kept in memory alone, in the hope of more to do. */
const openMsMax = 25;
/** Of what a fetch brings of a partition, compressed: ten times as much in memory, and as much again in objects, twice for each of them. */
const partitionBytesMax = 128 * 1024;
/** More than a member has partitions: each batch is handed on at once. */
const handoversMax = 64;

/** Refusals that say that the partition is, or may be, somebody else's now. */
const lost = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'NOT_COORDINATOR_FOR_GROUP',
  'FENCED_INSTANCE_ID',
]);
const isLost = (error: unknown): boolean => lost.has(kafkaErrorType(error) ?? '');
/**
 * The one of them that may be over with the next question: a broker that starts again is for a moment not the coordinator of a group whose
 * members it knows. kafkajs hears of it only by a heartbeat of its own, and a partition that was given up for it would be nobody's.
 */
const passing = 'NOT_COORDINATOR_FOR_GROUP';
const isLostForGood = (error: unknown): boolean => isLost(error) && kafkaErrorType(error) !== passing;
const keyOf = ({ topic, partition }: Place): string => `${topic}/${partition}`;

crashOnFailedJoining();

/** What a member needs of the bus that it belongs to. */
export interface KafkaMemberHost {
  readonly limits: KafkaMemberLimits;
  readonly admin: KafkaAdmin;
}

/** A partition that is this member's. */
interface Slot {
  readonly worker: PartitionWorker;
  /** Settles when its worker has ended. */
  ended: Promise<void>;
  /** What to do when the worker has room for another fetch. */
  onHungry: () => void;
  /** What it has been given ends before this offset. */
  offered: number;
  /** Whether what it did last may not be kept yet. */
  isOpen: boolean;
  /** Keeps that, unless another fetch comes before and it is kept together with the beginning of that. */
  closing: NodeJS.Timeout | undefined;
}

/** A member of a group, as long as it is connected: its partitions change, its handlers end before they do. */
export class KafkaMember {
  /** Resolves with the reason when the member cannot go on. */
  readonly broken: Promise<Error>;
  private readonly slots = new Map<string, Slot>();
  private readonly client: KafkaConsumer;
  private readonly joined: Promise<void>;
  private fail!: (error: Error) => void;
  private generation = 0;
  private running = 0;
  private isStopping = false;
  /** kafkajs's handle on the group; it stays the same over rebalances. */
  private handle: EachBatchPayload | undefined;
  private readonly commits = new CommitQueue(async (topics) => {
    if (!this.handle) throw new Error('There is nothing to commit before the first fetch');
    await this.handle.commitOffsetsIfNecessary({ topics });
  });
  private staying: NodeJS.Timeout | undefined;

  /** `onJoined` is told each time the group has given this member its partitions. */
  constructor(
    private readonly link: KafkaLink,
    private readonly consumer: Consumer,
    private readonly positions: Positions,
    private readonly host: KafkaMemberHost,
    private readonly onJoined: () => void,
  ) {
    this.broken = new Promise((resolve) => (this.fail = resolve));
    const { sessionMsMax, rebalanceMsMax } = host.limits;
    this.client = link.kafka.consumer({
      groupId: positions.groupId,
      partitionAssigners: [balancedAssigner(() => this.mayJoin())],
      sessionTimeout: sessionMsMax,
      rebalanceTimeout: rebalanceMsMax,
      heartbeatInterval: Math.min(heartbeatMs, sessionMsMax / 3),
      metadataMaxAge: metadataMsMax,
      maxWaitTimeInMs: waitMsMax,
      maxBytesPerPartition: partitionBytesMax,
      allowAutoTopicCreation: false,
      // As long as the group waits for this member, it is put off joining by these.
      retry: {
        initialRetryTime: 20,
        maxRetryTime: 1_000,
        retries: Math.ceil(rebalanceMsMax / 1_000) + 10,
        restartOnFailure: () => Promise.resolve(false),
      },
    });
    this.client.on(this.client.events.CRASH, ({ payload }) => this.fail(payload.error));
    // kafkajs would ask again over a connection that answers no more, for as long as the system takes it for one.
    this.client.on(this.client.events.REQUEST_TIMEOUT, ({ payload }) => this.fail(new Error(`Kafka did not answer ${payload.apiName}`)));
    this.client.on(this.client.events.GROUP_JOIN, ({ payload }) => this.take(payload.memberAssignment));
    this.joined = this.join();
    this.joined.catch((error: unknown) => this.fail(error as Error));
  }

  /** Everything before these is done. */
  *current(): Iterable<{ readonly topic: string; readonly partition: number; readonly position: number }> {
    for (const { worker } of this.slots.values()) yield { ...worker.place, position: worker.position };
  }

  /** Ends the calls under way, keeps what they did, and leaves the group, so that others have its partitions at once. */
  async close(): Promise<void> {
    this.isStopping = true;
    await this.endWorkers();
    // A joining that was put off may never be asked for again.
    clearInterval(this.staying);
    const giveUp = sleep(this.host.limits.sessionMsMax, undefined, { ref: false });
    // kafkajs cannot be stopped while it joins: it would go on as a member that nobody knows of.
    await Promise.race([this.joined.catch(() => undefined), giveUp]);
    await Promise.race([this.client.disconnect().catch(() => undefined), giveUp]);
    this.link.cut();
    await this.joined.catch(() => undefined);
  }

  private async join(): Promise<void> {
    await this.client.connect();
    await this.client.subscribe({ topics: [...this.consumer.topics], fromBeginning: true });
    await this.client.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: handoversMax,
      eachBatch: (payload) => this.offer(payload),
    });
  }

  /** Asked before every joining. The calls under way end first; what they did is kept while the partitions are still this member's. */
  private mayJoin(): boolean {
    this.generation += 1;
    for (const { worker } of this.slots.values()) worker.stop();
    if (this.running > 0) {
      // The broker waits for those that it hears of.
      this.staying ??= setInterval(() => void this.handle?.heartbeat().catch(() => undefined), heartbeatMs);
      return false;
    }
    clearInterval(this.staying);
    this.staying = undefined;
    this.slots.clear();
    return true;
  }

  /** Nothing is fetched until it is known from where on, because kafkajs would take what is there for what is next. */
  private take(assignment: Readonly<Record<string, readonly number[]>>): void {
    const topics = Object.entries(assignment).map(([topic, partitions]) => ({ topic, partitions: [...partitions] }));
    const places = topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
    const { generation } = this;
    this.consumer.partitions = places.length;
    this.client.pause(topics);
    this.whereToBegin(places).then(
      (known) => {
        if (generation !== this.generation || this.isStopping) return;
        for (const place of known) {
          this.start(place);
          this.client.seek({ topic: place.topic, partition: place.partition, offset: String(place.position) });
        }
        this.client.resume(topics);
        this.onJoined();
      },
      (error: unknown) => this.fail(error as Error),
    );
  }

  private async whereToBegin(places: readonly Place[]): Promise<GroupPosition[]> {
    const known = await this.positions.read(places);
    const logs = new Map<string, readonly PartitionOffsets[]>();
    for (const { topic } of places) if (!logs.has(topic)) logs.set(topic, await this.host.admin.offsets(topic));
    return known.map((place) => {
      const { start, end } = logs.get(place.topic)?.find(({ partition }) => partition === place.partition) ?? { start: 0, end: 0 };
      if (place.position < start) this.consumer.host.observer.missed?.(this.consumer.name, place.topic, start - place.position);
      // Beyond the end lies what was done of a topic of the same name that was deleted.
      return place.position < start || place.position > end ? { ...place, position: start, begun: undefined } : place;
    });
  }

  private start({ topic, partition, position, begun }: GroupPosition): Slot {
    const place = { topic, partition };
    const cursor = {
      advance: (done: number, next?: Begun) => this.positions.advance(place, done, () => this.commit(place, done, next)),
    };
    const worker = new PartitionWorker(place, position, begun, cursor, this.consumer, () => this.onHungry(slot));
    const slot: Slot = {
      worker,
      ended: Promise.resolve(),
      onHungry: () => undefined,
      offered: position,
      isOpen: false,
      closing: undefined,
    };
    this.running += 1;
    slot.ended = worker
      .run()
      .catch((error: unknown) => {
        worker.stop();
        // Where the partition was lost, kafkajs hears of it as well, and joins again.
        if (!isLost(error)) this.fail(error as Error);
      })
      .finally(() => (this.running -= 1));
    this.slots.set(keyOf(place), slot);
    return slot;
  }

  /** Tried again for as long as this member may have the partition, because a broker that starts again still knows it. */
  private async commit(place: Place, done: number, begun: Begun | undefined): Promise<void> {
    const { generation } = this;
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.commits.commit(place, done, begun);
      } catch (error) {
        if (isLostForGood(error) || this.isStopping || generation !== this.generation) throw error;
        await sleep(Math.min(commitRetryMsMax, 20 * 2 ** Math.min(tries, 10)));
      }
    }
  }

  /** Hands a fetch on; the next one goes on beside its delivery. */
  private async offer(payload: EachBatchPayload): Promise<void> {
    const { batch, resolveOffset, pause } = payload;
    this.handle = payload;
    const begins = Number(batch.firstOffset() ?? 0);
    let slot = this.slots.get(keyOf(batch));
    // The log ends before the offset that was asked for: the topic was made anew.
    if (slot?.worker.isHungry && Number(batch.highWatermark) < slot.worker.fetchFrom) slot = await this.startAnew(slot, begins);
    if (!slot) return void pause();
    const { worker } = slot;
    // Stopped, until the group is joined again.
    if (!worker.isHungry) return void (slot.onHungry = pause());
    const received = batch.messages
      .filter(({ offset }) => Number(offset) >= worker.fetchFrom)
      .map((message) => fromKafka(batch.topic, message));
    const last = received.at(-1);
    if (!last) return this.client.seek({ ...worker.place, offset: String(worker.fetchFrom) });
    if (begins > worker.fetchFrom) void this.reportMissed(worker.place, worker.fetchFrom);
    worker.fetchFrom = Number(batch.lastOffset()) + 1;
    resolveOffset(batch.lastOffset());
    clearTimeout(slot.closing);
    slot.isOpen = true;
    slot.offered = last.offset + 1;
    worker.offer(received);
    await this.untilHungry(slot);
    if (!worker.isHungry) slot.onHungry = pause();
  }

  private async startAnew({ worker, ended }: Slot, position: number): Promise<Slot | undefined> {
    const { generation } = this;
    worker.stop();
    await ended;
    return generation === this.generation && !this.isStopping ? this.start({ ...worker.place, position, begun: undefined }) : undefined;
  }

  /** Offsets may have gaps where transactions were; what lies before the start of the log is gone. */
  private async reportMissed({ topic, partition }: Place, position: number): Promise<void> {
    const offsets = await this.host.admin.offsets(topic).catch(() => []);
    const start = offsets.find((known) => known.partition === partition)?.start ?? 0;
    if (start > position) this.consumer.host.observer.missed?.(this.consumer.name, topic, start - position);
  }

  /** Answers whether an offer will follow in any case. */
  private onHungry(slot: Slot): boolean {
    slot.onHungry();
    clearTimeout(slot.closing);
    if (!slot.isOpen) return false;
    slot.closing = setTimeout(() => {
      const { worker } = slot;
      if (!worker.isHungry || worker.position < slot.offered) return;
      slot.isOpen = false;
      worker.offer([]);
    }, openMsMax);
    return true;
  }

  private untilHungry(slot: Slot): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMsMax);
      slot.onHungry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private async endWorkers(): Promise<void> {
    for (const { worker } of this.slots.values()) worker.stop();
    await Promise.all([...this.slots.values()].map(({ ended }) => ended));
  }
}
