import { setImmediate } from 'node:timers/promises';
import type pg from 'pg';
import type { Consumer } from '../delivery/consumer.js';
import { waitMs } from '../delivery/gate.js';
import { PartitionWorker } from '../delivery/partition-worker.js';
import type { Subscription } from '../event-bus.js';
import type { ConsumedTopic, Membership } from './membership.js';
import { lineBytesOf, type LogRow, unpackRow } from './packed-rows.js';
import { PostgresSession } from './postgres-session.js';

export interface PostgresSubscriptionLimits {
  readonly queryMsMax: number;
  readonly silentMsMax: number;
  /** Bytes of rows that one fetch brings, over all partitions. */
  readonly batchBytesMax: number;
}

/** How often to look without being told: what was appended while a connection was made, and members that died. */
const pollMs = 500;
const balanceMs = 1_000;
const reconnectMsMax = 5_000;
/** A connection that lasted so long was a good one: the next pause is a short one again. */
const soundMs = 10_000;

type Worker = PartitionWorker<ConsumedTopic & { readonly partition: number }>;

/** What lives as long as one connection. */
interface Life {
  readonly session: PostgresSession;
  readonly workers: Map<string, Worker>;
  readonly ends: Map<string, Promise<void>>;
  broken: Error | undefined;
  balanceAt: number;
}

/** One member of a group, or one broadcast: connects, balances, fetches for whoever is hungry, and begins anew when that breaks. */
export class PostgresSubscription implements Subscription {
  private readonly closing = new AbortController();
  private readonly running: Promise<void>;
  private life: Life | undefined;
  private wake: () => void = () => undefined;
  private woken = false;
  private rotation = 0;

  /** `rejoin` is asked on each new connection after the first: the database may have been made anew, with other topics and ids. */
  constructor(
    private readonly pool: pg.Pool,
    private readonly consumer: Consumer,
    private membership: Membership,
    private readonly rejoin: (last: Membership) => Promise<Membership>,
    private readonly limits: PostgresSubscriptionLimits,
    private readonly onClosed: () => void,
  ) {
    this.running = this.run();
  }

  pause(): void {
    this.consumer.gate.pause();
  }

  resume(): void {
    this.consumer.gate.resume();
  }

  delay(ms: number): void {
    this.consumer.gate.delay(ms);
  }

  positions(): Readonly<Record<string, ReadonlyMap<number, number>>> {
    const positions = Object.fromEntries(this.consumer.topics.map((topic) => [topic, new Map<number, number>()]));
    for (const { place, position } of this.life?.workers.values() ?? []) positions[place.topic]?.set(place.partition, position);
    return positions;
  }

  async close(): Promise<void> {
    this.closing.abort();
    this.nudge();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    for (let failures = 0, lives = 0; !signal.aborted; failures += 1, lives += 1) {
      const began = performance.now();
      try {
        if (lives > 0) this.membership = await this.rejoin(this.membership);
        await this.live();
      } catch (error) {
        if (performance.now() - began > soundMs) failures = 0;
        this.consumer.host.observer.connectionLost?.(error as Error);
        await waitMs(Math.min(reconnectMsMax, 50 * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2), signal);
      }
    }
    this.onClosed();
  }

  /** On one connection, until it breaks or the subscription is closed. No handler is under way when it returns. */
  private async live(): Promise<void> {
    const session = await PostgresSession.open(this.pool, this.limits, {
      onWake: (topic) => {
        for (const worker of this.life?.workers.values() ?? []) if (worker.place.topic === topic) worker.mayHaveMore = true;
        this.nudge();
      },
      onBalance: (group) => {
        if (group !== this.consumer.positions || !this.life) return;
        this.life.balanceAt = 0;
        this.nudge();
      },
      onEnd: (error) => {
        if (this.life?.session === session) this.life.broken ??= error;
        this.nudge();
      },
    });
    const life: Life = { session, workers: new Map(), ends: new Map(), broken: undefined, balanceAt: 0 };
    this.life = life;
    try {
      await this.membership.enter(session);
      await this.pump(life);
    } finally {
      for (const worker of life.workers.values()) worker.stop();
      await Promise.all(life.ends.values());
      session.close();
      this.life = undefined;
    }
  }

  private async pump(life: Life): Promise<void> {
    while (!this.closing.signal.aborted) {
      if (performance.now() >= life.balanceAt) {
        life.balanceAt = performance.now() + balanceMs;
        await this.balance(life);
      }
      const fetched = await this.fetch(life);
      if (life.broken) throw life.broken;
      if (!fetched) await this.idle(life);
    }
    await this.leave(life);
  }

  private async idle(life: Life): Promise<void> {
    if (!this.woken) {
      const slept = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(true), Math.min(pollMs, Math.max(1, life.balanceAt - performance.now())));
        this.wake = () => {
          clearTimeout(timer);
          resolve(false);
        };
      });
      if (slept) for (const worker of life.workers.values()) worker.mayHaveMore = true;
    }
    // Those that end in the same turn are fetched for together.
    await setImmediate();
    this.woken = false;
  }

  private nudge(): void {
    this.woken = true;
    this.wake();
  }

  /** Takes what is free up to this member's share, and gives back what is over it. */
  private async balance(life: Life): Promise<void> {
    const shares = await this.membership.shares(life.session);
    for (const [i, topic] of this.membership.topics.entries()) {
      const owned = [...life.workers.values()].filter(({ place }) => place.topic === topic.topic);
      const share = shares[i] ?? 0;
      for (const worker of owned.slice(share)) void this.giveBack(life, topic, worker);
      const partitions = owned.map(({ place }) => place.partition);
      for (const claimed of await this.membership.claim(life.session, topic, partitions, share)) this.startWorker(life, topic, claimed);
    }
    this.consumer.partitions = life.workers.size;
  }

  private startWorker(life: Life, topic: ConsumedTopic, claimed: Awaited<ReturnType<Membership['claim']>>[number]): void {
    const { partition, position, begun } = claimed;
    let from = position;
    const cursor = {
      advance: async (to: number, next?: typeof begun): Promise<void> => {
        await this.membership.advance(life.session, topic, partition, from, to, next);
        from = to;
      },
    };
    const place = { ...topic, partition };
    const worker: Worker = new PartitionWorker(place, position, begun, cursor, this.consumer, () => {
      this.nudge();
      return worker.mayHaveMore;
    });
    const key = `${topic.topicId}/${partition}`;
    life.workers.set(key, worker);
    life.ends.set(
      key,
      worker.run().catch((error: unknown) => {
        life.broken ??= error as Error;
        this.nudge();
      }),
    );
  }

  /** When the calls under way have ended, which may take as long as they like: the other partitions go on. */
  private async giveBack(life: Life, topic: ConsumedTopic, worker: Worker): Promise<void> {
    try {
      await this.endWorker(life, worker);
      await this.membership.release(life.session, topic, worker.place.partition);
    } catch (error) {
      life.broken ??= error as Error;
      this.nudge();
    }
  }

  private async endWorker(life: Life, worker: Worker): Promise<void> {
    const key = `${worker.place.topicId}/${worker.place.partition}`;
    worker.stop();
    await life.ends.get(key);
    life.workers.delete(key);
    life.ends.delete(key);
  }

  private async leave(life: Life): Promise<void> {
    await Promise.all([...life.workers.values()].map((worker) => this.endWorker(life, worker)));
    if (life.broken) throw life.broken;
    await this.membership.leave(life.session);
  }

  /** One statement for all partitions that have room. Whether to look again at once. */
  private async fetch(life: Life): Promise<boolean> {
    const hungry = [...life.workers.values()].filter((worker) => worker.isHungry && worker.mayHaveMore);
    if (hungry.length === 0) return false;
    // Another goes first each time, because the first may use up the bytes.
    this.rotation += 1;
    const turned = hungry.map((_, i) => hungry[(i + this.rotation) % hungry.length]).filter((worker) => worker !== undefined);
    for (const worker of turned) worker.mayHaveMore = false;
    const rows = await life.session.fetch(
      turned.map((worker) => ({ topicId: worker.place.topicId, partition: worker.place.partition, fromOffset: worker.fetchFrom })),
      this.consumer.batchSize,
      this.limits.batchBytesMax,
    );
    const byPartition = Map.groupBy(rows, ({ topic_id, partition }) => `${topic_id}/${partition}`);
    // What is appended from here on is told; more may be there already only where a limit ended the fetch.
    const bytes = rows.reduce((sum, { data }) => sum + lineBytesOf(data), 0);
    const isCut = bytes >= this.limits.batchBytesMax;
    for (const worker of turned) this.offer(worker, byPartition.get(`${worker.place.topicId}/${worker.place.partition}`) ?? [], isCut);
    return isCut;
  }

  private offer(worker: Worker, rows: readonly LogRow[], isCut: boolean): void {
    const messages = rows.reduce((sum, { n }) => sum + n, 0);
    worker.mayHaveMore ||= isCut || messages >= this.consumer.batchSize;
    const [first] = rows;
    if (!first) return worker.offer([]);
    const begins = Number(first.end_offset) - first.n;
    const { topic } = worker.place;
    // Offsets are dense, so a gap is what the retention took.
    if (begins > worker.fetchFrom) this.consumer.host.observer.missed?.(this.consumer.name, topic, begins - worker.fetchFrom);
    const received = rows.flatMap((row) => unpackRow(topic, row, worker.fetchFrom));
    worker.fetchFrom = (received.at(-1)?.offset ?? worker.fetchFrom) + 1;
    worker.offer(received);
  }
}
