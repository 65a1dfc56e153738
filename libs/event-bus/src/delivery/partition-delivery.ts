import type { BusMessage } from '@pca/contracts';
import { isDomainError } from '@pca/errors';
import { type DeliveredMessage, handled, type Outcome } from '../event-bus.js';
import { murmur2 } from '../partition-of.js';
import type { Consumer } from './consumer.js';
import { deadLetterOf, type Fault } from './dead-letters.js';
import { waitMs } from './gate.js';

/** What came of one partition: messages in the order of their offsets, and what could not be read as one. */
export interface Received {
  readonly offset: number;
  readonly what: BusMessage | Fault;
}

/** Messages from the position on, up to before `until`, are being handled for the `attempt`-th time. */
export interface Begun {
  readonly until: number;
  readonly attempt: number;
}

export interface Cursor {
  /**
   * Keeps durably that everything before `done` is done and, where `begun` is given, that handling begins. Rejects when the partition is no
   * longer this member's; nothing is handled after that.
   */
  advance(done: number, begun?: Begun): Promise<void>;
}

/** Messages of which one may be the reason for a failure: they are tried again in parts of `size`. */
interface Suspects {
  /** The position when they failed. */
  readonly from: number;
  readonly until: number;
  readonly attempts: number;
  readonly size: number;
  /** They were being handled when a process died. */
  readonly afterDeath: boolean;
  readonly reason: string;
}

const longestWaitMs = 10_000;
const deathReason = 'Its handling was begun so many times and never ended: it may kill its consumer';
const isMessage = (what: BusMessage | Fault): what is BusMessage => 'envelope' in what;
const isUnavailable = (error: unknown): boolean => isDomainError(error) && error.code === 'SERVICE_UNAVAILABLE';
/** Something that the handler needs is away, or this member is to stop: no attempt of the messages, which are as good as they were. */
const isBlameless = (error: unknown, signal: AbortSignal): boolean => isUnavailable(error) || (signal.aborted && error === signal.reason);
const endOf = (chunk: readonly Received[]): number => (chunk.at(-1)?.offset ?? -1) + 1;
const tenthOf = (count: number): number => Math.max(1, Math.floor(count / 10));

/**
 * Hands the messages of one partition to the handler and moves the position behind them, for any adapter: batches, lanes by key, attempts
 * counted before handling, retry in smaller parts, dead letters. The position is only ever moved over what is done without a gap.
 */
export class PartitionDelivery {
  private done: number;
  private kept: number;
  /** Narrowest last. */
  private suspects: Suspects[] = [];
  /** Done beyond the position: lanes that succeeded beside one that failed. */
  private readonly ahead = new Set<number>();
  private failures = 0;

  /** `begun` is what the last member that had the partition began and did not end. */
  constructor(
    private readonly place: { readonly topic: string; readonly partition: number },
    position: number,
    begun: Begun | undefined,
    private readonly cursor: Cursor,
    private readonly consumer: Consumer,
  ) {
    this.done = position;
    this.kept = position;
    if (begun && begun.until > position) {
      const { until } = begun;
      const isOwn = this.isOwn(position, begun);
      const attempts = isOwn ? Math.min(begun.attempt, this.consumer.attemptsMax) - 1 : begun.attempt;
      const size = this.sizeAfter(attempts, until - position);
      if (attempts > 0) this.suspects.push({ from: position, until, attempts, size, afterDeath: !isOwn, reason: deathReason });
    }
  }

  /** Began here, in this process, which lives: what broke then was the connection, and only what failed before that counts. */
  private isOwn(position: number, { until, attempt }: Begun): boolean {
    const own = this.consumer.begun.get(this.name) ?? [];
    return own.some((mine) => mine.from === position && mine.until === until && mine.attempt === attempt);
  }

  private get name(): string {
    return `${this.place.topic}/${this.place.partition}`;
  }

  /** Everything before it is done. */
  get position(): number {
    return this.done;
  }

  /** Resolves when all of them are done, or early when the signal says so. Rejects when the cursor does. */
  async deliver(received: readonly Received[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < received.length;) {
      const { gate } = this.consumer;
      // Whoever looks at a consumer that is paused should see all that it did.
      if (!gate.isOpen) await this.settle();
      await gate.pass(signal);
      if (signal.aborted) return;
      // What retention took is nobody's suspect any more.
      const begins = received[at]?.offset ?? 0;
      this.suspects = this.suspects.filter(({ until }) => until > begins);
      const suspects = this.suspects.at(-1);
      const chunk = received.slice(at, at + (suspects?.size ?? this.consumer.batchSize));
      const next = suspects ? chunk.filter(({ offset }) => offset < suspects.until) : chunk;
      if (await this.attempt(next, suspects, signal)) at += next.length;
    }
  }

  /** Keeps the position reached, when there is nothing more to deliver for now or the partition goes to somebody else. */
  async settle(): Promise<void> {
    if (this.kept === this.done) return;
    const open = this.suspects.at(-1);
    // What is left of several that failed together has not failed by itself, and whoever goes on must not take it for that.
    const isWhole = open?.from === this.done;
    const attempt = Math.min(open?.attempts ?? 0, isWhole ? Infinity : this.consumer.attemptsMax - 1);
    await this.cursor.advance(this.done, open && attempt > 0 ? { until: open.until, attempt } : undefined);
    this.kept = this.done;
    this.consumer.begun.delete(this.name);
  }

  /** Whether the chunk is done; if not, what is suspected is narrower or its attempts are more, and a pause is over. */
  private async attempt(chunk: readonly Received[], suspects: Suspects | undefined, signal: AbortSignal): Promise<boolean> {
    const attempt = (suspects?.attempts ?? 0) + 1;
    const [first] = chunk;
    if (!first) throw new Error('The suspects end before the next message');
    // Only one that failed by itself: a limit that was lowered, or is 1, must not take those that were merely beside it.
    const isAlone = suspects !== undefined && suspects.from === this.done && suspects.until <= first.offset + 1;
    if (isAlone && attempt > this.consumer.attemptsMax && this.isOurs(first.what)) {
      this.failures = 0;
      if (!(await this.bury(first, suspects.reason, suspects.attempts, signal))) return false;
      this.pass(chunk);
      await this.settle();
      return true;
    }
    const run = async () => {
      const begun = { until: endOf(chunk), attempt };
      const mine = { from: first.offset, ...begun };
      this.consumer.begun.set(this.name, [...(this.consumer.begun.get(this.name) ?? []), mine]);
      await this.cursor.advance(first.offset, begun);
      this.consumer.begun.set(this.name, [mine]);
      this.kept = -1;
      const failure = await this.handle(chunk, attempt, signal);
      if (!failure) this.pass(chunk);
      return failure;
    };
    // Counted when its turn comes and kept before the next one's: the one that kills the process is the only one that is counted then.
    const runAlone = async () => {
      if (signal.aborted) return { error: signal.reason as unknown };
      const failure = await run();
      if (!failure || isBlameless(failure.error, signal)) await this.settle();
      return failure;
    };
    const failure = await (suspects?.afterDeath ? this.consumer.host.alone(runAlone) : run());
    if (!failure) {
      this.failures = 0;
      return true;
    }
    await this.suspect(chunk, failure.error, attempt, suspects?.afterDeath ?? false, signal);
    return false;
  }

  private pass(chunk: readonly Received[]): void {
    this.done = endOf(chunk);
    for (const offset of this.ahead) if (offset < this.done) this.ahead.delete(offset);
    this.suspects = this.suspects.filter(({ until }) => until > this.done);
  }

  private isOurs(what: Received['what']): what is BusMessage {
    return isMessage(what) && (what.consumerGroup === undefined || what.consumerGroup === this.consumer.group);
  }

  private async suspect(
    chunk: readonly Received[],
    error: unknown,
    attempt: number,
    afterDeath: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    if (isBlameless(error, signal)) await this.settle();
    else {
      this.consumer.begun.delete(this.name);
      const until = endOf(chunk);
      const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      const suspects = { from: this.done, until, attempts: attempt, size: this.sizeAfter(attempt, chunk.length), afterDeath, reason };
      this.suspects = [...this.suspects.filter((wider) => wider.until > until), suspects];
      if (chunk.length === 1 && attempt >= this.consumer.attemptsMax) return;
    }
    this.failures += 1;
    const ceilingMs = Math.min(longestWaitMs, this.consumer.retryMs * 2 ** Math.min(this.failures - 1, 20));
    const retryInMs = ceilingMs / 2 + (Math.random() * ceilingMs) / 2;
    const { name: group, host } = this.consumer;
    host.observer.retrying?.({ group, ...this.place, offset: chunk[0]?.offset ?? 0, messages: chunk.length, attempt, retryInMs }, error);
    await waitMs(retryInMs, signal);
  }

  /** The last attempt that is allowed is of one message: only one that failed by itself becomes a dead letter. */
  private sizeAfter(attempts: number, count: number): number {
    return attempts + 1 >= this.consumer.attemptsMax ? 1 : tenthOf(count);
  }

  /** What failed, if anything did; then what succeeded beside it is remembered. */
  private async handle(chunk: readonly Received[], attempt: number, signal: AbortSignal): Promise<{ error: unknown } | undefined> {
    const messages: DeliveredMessage[] = [];
    for (const received of chunk) {
      const { offset, what } = received;
      if (this.ahead.has(offset)) continue;
      if (!isMessage(what)) {
        if (!(await this.bury(received, what.reason, 0, signal))) return { error: signal.reason };
        this.ahead.add(offset);
      } else if (this.isOurs(what)) {
        messages.push({ ...what, partition: this.place.partition, offset, attempt });
      }
    }
    if (messages.length === 0) return undefined;
    const lanes = lanesOf(messages, attempt > 1 ? 1 : this.consumer.lanes);
    const results = await Promise.allSettled(lanes.map((lane) => this.consumer.limit(() => this.handleLane(lane, signal))));
    const errors: unknown[] = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason);
    if (errors.length === 0) return undefined;
    lanes.forEach((lane, i) => results[i]?.status === 'fulfilled' && lane.forEach(({ offset }) => this.ahead.add(offset)));
    // While something is away it cannot be told what else would fail.
    return { error: errors.find(isUnavailable) ?? errors[0] };
  }

  private async handleLane(lane: readonly DeliveredMessage[], signal: AbortSignal): Promise<void> {
    const { name: group, handle, host } = this.consumer;
    const started = performance.now();
    const outcomes = (await handle(lane)) ?? [];
    if (outcomes.length !== 0 && outcomes.length !== lane.length) {
      throw new Error(`The handler answered ${outcomes.length} outcomes for ${lane.length} messages`);
    }
    const seconds = (performance.now() - started) / 1000;
    const counts = new Map<Outcome['is'], number>();
    for (const [i, message] of lane.entries()) {
      const outcome = outcomes[i] ?? handled;
      counts.set(outcome.is, (counts.get(outcome.is) ?? 0) + 1);
      if (outcome.is !== 'deadLettered') continue;
      const buried = await this.bury({ offset: message.offset, what: messageOf(message) }, outcome.reason, message.attempt, signal);
      if (!buried) throw signal.reason;
    }
    for (const [outcome, count] of counts) host.observer.delivered?.(group, this.place.topic, outcome, count, seconds);
  }

  /** Publishes the dead letter, trying again for as long as it takes: the position waits for it. False when the signal ended that. */
  private async bury(received: Received, reason: string, attempts: number, signal: AbortSignal): Promise<boolean> {
    const { name, group, host, retryMs } = this.consumer;
    const letters = group === undefined ? [] : [deadLetterOf({ ...this.place, ...received, consumerGroup: group, reason, attempts })];
    for (let tries = 1; !signal.aborted; tries += 1) {
      try {
        await host.publisher.publish(letters);
        host.observer.deadLettered?.(name, this.place.topic, reason);
        return true;
      } catch (error) {
        const retryInMs = Math.min(longestWaitMs, retryMs * 2 ** Math.min(tries - 1, 20));
        const { offset } = received;
        host.observer.retrying?.({ group: name, ...this.place, offset, messages: 1, attempt: attempts, retryInMs }, error);
        await waitMs(retryInMs, signal);
      }
    }
    return false;
  }
}

const messageOf = ({ topic, key, envelope, consumerGroup }: DeliveredMessage): BusMessage =>
  consumerGroup === undefined ? { topic, key, envelope } : { topic, key, envelope, consumerGroup };

/**
 * Parts messages into as many lanes at most, all of a key in the same one, in their order. The upper half of the hash decides, because the
 * lower chose the partition and is the same for all of them.
 */
export const lanesOf = <T extends { readonly key: string }>(messages: readonly T[], count: number): readonly (readonly T[])[] => {
  if (count <= 1 || messages.length <= 1) return [messages];
  const lanes = Array.from({ length: count }, (): T[] => []);
  for (const message of messages) lanes[(murmur2(Buffer.from(message.key)) >>> 16) % count]?.push(message);
  return lanes.filter(({ length }) => length > 0);
};
