import { setTimeout as sleep } from 'node:timers/promises';
import type { BusMessage } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import pLimit from 'p-limit';
import { Consumer } from '../../src/delivery/consumer.js';
import { type Begun, PartitionDelivery, type Received } from '../../src/delivery/partition-delivery.js';
import { deadLettered, type DeliveredMessage, handled, type Outcome } from '../../src/event-bus.js';
import { messageOf } from '../messages.js';
import type { Random } from '../random.js';

/** What a message does to its handler. Only `good` and `other` ones are innocent; `other` is for another group. */
type Nature = 'good' | 'other' | 'fault' | 'throws' | 'kills' | 'flaky' | 'away' | 'refused';

interface Simulated {
  readonly received: Received;
  readonly nature: Nature;
  /** Of the flaky: how often, before it goes well. */
  failuresLeft: number;
  /** Calls that had it and went well. */
  successes: number;
  /** Calls that had it and did not end well, for whatever reason but that something was away. */
  failures: number;
  /** Those of them in which nothing else was begun. */
  alone: number;
  letters: number;
}

export interface DeliveryReport {
  readonly messages: number;
  readonly deaths: number;
  readonly stops: number;
  readonly breaks: number;
  /** The first things that were not as promised. */
  readonly faults: readonly string[];
}

/** A process that dies takes what it was doing with it: nothing of it ends. */
class Incarnation {
  dead = false;
  readonly died: Promise<'died'>;
  private die: () => void = () => undefined;

  constructor() {
    this.died = new Promise((resolve) => (this.die = () => resolve('died')));
  }

  kill(): Promise<never> {
    this.dead = true;
    this.die();
    return new Promise(() => undefined);
  }
}

const group = 'simulated';
const topic = 'simulated.v1';

/**
 * A partition with random messages, handled by random handlers in processes that die and stop at random moments, on a cursor that keeps what
 * it is told. Everything that the engine promises is checked at the moment at which it could be broken.
 */
export const simulateDelivery = async (random: Random): Promise<DeliveryReport> => new Simulation(random).run();

class Simulation {
  private readonly messages: Simulated[];
  private readonly byOffset: ReadonlyMap<number, Simulated>;
  private readonly options: { batchSize: number; concurrency: number; attemptsMax: number };
  private readonly faults: string[] = [];
  private readonly lastOf = new Map<string, number>();
  /** What a database would keep. */
  private kept: { done: number; begun: Begun | undefined } = { done: 0, begun: undefined };
  /** How often handlers still find that something is away. */
  private awayLeft: number;
  private life: Incarnation | undefined;
  private deaths = 0;
  private stops = 0;
  private breaks = 0;
  private readonly deathsMax: number;
  private readonly stopChance: number;
  private readonly breakChance: number;

  constructor(private readonly random: Random) {
    const count = 1 + random.below(random.chance(0.1) ? 200 : 40);
    const wild = random.pick([0, 0.03, 0.1, 0.3]);
    const keys = 1 + random.below(8);
    const gaps = random.chance(0.3);
    let offset = 0;
    this.messages = Array.from({ length: count }, () => {
      const natures = ['other', 'fault', 'throws', 'kills', 'flaky', 'away', 'refused'] as const;
      const nature = random.chance(wild) ? random.pick(natures) : 'good';
      offset += gaps ? 1 + random.below(3) : 1;
      const failuresLeft = nature === 'flaky' ? 1 + random.below(2) : 0;
      const what = this.contentOf(nature, `key ${random.below(keys)}`, offset);
      return { received: { offset, what }, nature, failuresLeft, successes: 0, failures: 0, alone: 0, letters: 0 };
    });
    this.byOffset = new Map(this.messages.map((message) => [message.received.offset, message]));
    this.options = {
      batchSize: random.pick([1, 3, 10, 50, 200]),
      concurrency: 1 + random.below(5),
      attemptsMax: random.pick([1, 2, 3, 5]),
    };
    this.awayLeft = random.below(7);
    this.deathsMax = random.pick([0, 0, 1, 3]);
    this.breakChance = random.pick([0, 0, 0.01, 0.05]);
    this.stopChance = random.pick([0, 0, 0.5]);
  }

  async run(): Promise<DeliveryReport> {
    const end = this.messages.at(-1)!.received.offset + 1;
    const sure = performance.now() + 30_000;
    while (this.kept.done < end && performance.now() < sure && this.faults.length === 0) await this.live(end);
    if (this.kept.done !== end) this.fault(`the position stands at ${this.kept.done} of ${end}`);
    for (const message of this.messages) this.judge(message);
    return { messages: this.messages.length, deaths: this.deaths, stops: this.stops, breaks: this.breaks, faults: this.faults.slice(0, 5) };
  }

  private contentOf(nature: Nature, key: string, sequence: number): Received['what'] {
    if (nature === 'fault') return { key, value: 'no message', reason: 'it is none' };
    const message = messageOf(topic, key, sequence);
    if (nature === 'other') return { ...message, consumerGroup: 'another' };
    return this.random.chance(0.05) ? { ...message, consumerGroup: group } : message;
  }

  /** One process, from what the cursor kept until it dies, stops or has done everything. */
  private async live(end: number): Promise<void> {
    const life = (this.life = new Incarnation());
    const stopping = new AbortController();
    const consumer = new Consumer(
      group,
      { topics: [topic], ...this.options, retryMs: 1, handle: (batch) => this.handle(life, batch) },
      { publisher: { publish: (letters) => this.bury(life, letters) }, observer: {}, alone: pLimit(1) },
    );
    consumer.partitions = this.random.pick([1, 1, 2]);
    const timer = this.random.chance(this.stopChance) ? setTimeout(() => stopping.abort(), this.random.below(30)) : undefined;
    const killer = this.deaths < this.deathsMax ? setTimeout(() => void this.kill(life), this.random.below(40)) : undefined;
    try {
      while ((await Promise.race([this.connect(life, consumer, stopping.signal, end), life.died])) === 'broken') {
        this.breaks += 1;
        // One that stops and cannot say what it did has died, for all that others know.
        if (stopping.signal.aborted) this.deaths += 1;
      }
    } catch (error) {
      this.fault(`delivery failed: ${String(error)}`);
    }
    if (stopping.signal.aborted) this.stops += 1;
    clearTimeout(timer);
    clearTimeout(killer);
  }

  /** One connection of a process, until it breaks or there is nothing more to do. No handler is under way then. */
  private async connect(life: Incarnation, consumer: Consumer, signal: AbortSignal, end: number): Promise<'ended' | 'broken'> {
    const connection = { isBroken: false };
    const cursor = { advance: (done: number, begun?: Begun) => this.advance(life, connection, done, begun) };
    const delivery = new PartitionDelivery({ topic, partition: 0 }, this.kept.done, this.kept.begun, cursor, consumer);
    try {
      for (let from = this.kept.done; from < end && !signal.aborted;) {
        const fetched = this.messages.filter(({ received }) => received.offset >= from).slice(0, 1 + this.random.below(80));
        await delivery.deliver(
          fetched.map(({ received }) => received),
          signal,
        );
        from = fetched.at(-1)!.received.offset + 1;
        if (this.random.chance(0.3)) await delivery.settle();
      }
      await delivery.settle();
    } catch (error) {
      if (!connection.isBroken) throw error;
      return 'broken';
    }
    return 'ended';
  }

  private kill(life: Incarnation): Promise<never> {
    if (!life.dead) this.deaths += 1;
    // What was being handled is what the cursor says, since attempts are counted before.
    return life.kill();
  }

  private readonly underWay = new Map<Incarnation, Set<DeliveredMessage>>();

  private async handle(life: Incarnation, batch: readonly DeliveredMessage[]): Promise<readonly Outcome[] | void> {
    if (life.dead) return life.kill();
    const busy = this.underWay.get(life) ?? new Set();
    this.underWay.set(life, new Set([...busy, ...batch]));
    this.checkCall(batch, busy);
    if (this.random.chance(0.5)) await sleep(this.random.below(3));
    if (life.dead) return life.kill();
    const mine = batch.map(({ offset }) => this.at(offset));
    const isAway = mine.some(({ nature }) => nature === 'away' && this.awayLeft > 0);
    const failing = mine.find(({ nature, failuresLeft }) => nature === 'throws' || (nature === 'flaky' && failuresLeft > 0));
    if (mine.some(({ nature }) => nature === 'kills')) return this.kill(life);
    this.underWay.set(life, new Set([...this.underWay.get(life)!].filter((message) => !batch.includes(message))));
    if (isAway) {
      this.awayLeft -= 1;
      throw new DomainError('SERVICE_UNAVAILABLE', 'what it needs is away');
    }
    if (failing) {
      failing.failuresLeft -= 1;
      for (const message of mine) message.failures += 1;
      if (this.begunCount === 1) failing.alone += 1;
      throw new Error('it cannot be handled');
    }
    for (const message of mine) message.successes += 1;
    for (const { key, offset } of batch) {
      const last = this.lastOf.get(key) ?? -1;
      if (offset > last) this.lastOf.set(key, offset);
      else if (this.at(offset).successes === 1) this.fault(`${offset} was handled for the first time after ${last} of the same key`);
    }
    const anyRefused = mine.some(({ nature }) => nature === 'refused');
    return anyRefused ? mine.map(({ nature }) => (nature === 'refused' ? deadLettered('no use') : handled)) : undefined;
  }

  private checkCall(batch: readonly DeliveredMessage[], busy: ReadonlySet<DeliveredMessage>): void {
    const { batchSize, concurrency, attemptsMax } = this.options;
    const keys = new Set(batch.map(({ key }) => key));
    if (batch.length > batchSize || batch.length === 0) this.fault(`a batch of ${batch.length}, where ${batchSize} is the most`);
    for (const other of busy) if (keys.has(other.key)) this.fault(`two calls at once with ${other.key}`);
    // Each call under way has keys of its own, so that there can be no more calls than concurrency allows keys.
    if (concurrency === 1 && busy.size > 0) this.fault('two calls at once');
    for (const [i, { offset, attempt, consumerGroup }] of batch.entries()) {
      if (i > 0 && offset <= batch[i - 1]!.offset) this.fault(`${offset} came after ${batch[i - 1]!.offset}`);
      if (consumerGroup !== undefined && consumerGroup !== group) this.fault(`${offset} is for ${consumerGroup}`);
      // A batch that fails at an attempt that was to be the last is parted once more, to find out which message it was.
      if (attempt > Math.max(2, attemptsMax)) this.fault(`${offset} is tried for the ${attempt}th time, where ${attemptsMax} is the most`);
      const { done, begun } = this.kept;
      if (offset < done || offset >= (begun?.until ?? 0) || attempt !== begun?.attempt)
        this.fault(`attempt ${attempt} at ${offset} began, and the cursor knows ${JSON.stringify(this.kept)}`);
    }
  }

  private async bury(life: Incarnation, letters: readonly BusMessage[]): Promise<void> {
    if (this.random.chance(0.2)) await sleep(1);
    if (life.dead) return life.kill();
    if (this.random.chance(0.2)) throw new DomainError('SERVICE_UNAVAILABLE', 'the bus is away');
    for (const { envelope } of letters) {
      const { offset, attempts } = envelope.payload as { offset: number; attempts: number };
      const message = this.at(offset);
      message.letters += 1;
      if (message.nature === 'fault' || message.nature === 'refused') continue;
      const { begun } = this.kept;
      if (this.begunCount !== 1 || attempts < this.options.attemptsMax || begun?.attempt !== attempts)
        this.fault(
          `${offset} (${message.nature}) is given up after ${attempts} attempts, and the cursor knows ${JSON.stringify(this.kept)}`,
        );
    }
  }

  private async advance(life: Incarnation, connection: { isBroken: boolean }, done: number, begun?: Begun): Promise<void> {
    if (this.random.chance(0.3)) await sleep(this.random.below(2));
    if (life.dead) return life.kill();
    const breaks = (): boolean => (connection.isBroken ||= this.random.chance(this.breakChance));
    if (breaks()) throw new Error('the connection broke');
    const isTakenBack = this.messages.some(({ received: { offset } }) => offset >= done && offset < this.kept.done);
    if (isTakenBack) this.fault(`the position went back from ${this.kept.done} to ${done}`);
    const skipped = this.messages.find((message) => message.received.offset < done && !isDone(message));
    if (skipped) this.fault(`the position ${done} is beyond ${skipped.received.offset} (${skipped.nature}), which is not done`);
    this.kept = { done, begun };
    // The answer of a database may be lost, with the process or without it.
    if (this.deaths < this.deathsMax && this.random.chance(0.02)) return this.kill(life);
    if (breaks()) throw new Error('the connection broke behind the question');
  }

  private judge({ received, nature, successes, failures, alone, letters }: Simulated): void {
    const name = `${received.offset} (${nature})`;
    const calm = this.deaths + this.stops + this.breaks === 0;
    const lost = successes === 0 && letters === 0 && nature !== 'other';
    if (lost) this.fault(`${name} was lost`);
    if (nature === 'other' && successes + letters > 0) this.fault(`${name} is another group's`);
    if (nature === 'good' && letters > 0 && this.deaths === 0) this.fault(`${name} is a dead letter after ${failures} failures`);
    if (nature === 'away' && letters > 0 && this.deaths === 0) this.fault(`${name} is a dead letter, and was only held up`);
    if ((nature === 'throws' || nature === 'kills') && letters === 0) this.fault(`${name} is no dead letter`);
    if (alone > this.options.attemptsMax)
      this.fault(`${name} failed ${alone} times by itself, where ${this.options.attemptsMax} are the most`);
    if (nature === 'throws' && calm && failures < this.options.attemptsMax)
      this.fault(`${name} was given up after ${failures} of ${this.options.attemptsMax} attempts`);
    if (calm && successes > 1) this.fault(`${name} was handled ${successes} times`);
    if (calm && letters > 1) this.fault(`${name} became ${letters} dead letters`);
  }

  /** How many messages are begun, for all that the cursor knows. */
  private get begunCount(): number {
    const { done, begun } = this.kept;
    return this.messages.filter(({ received }) => received.offset >= done && received.offset < (begun?.until ?? 0)).length;
  }

  private at(offset: number): Simulated {
    return this.byOffset.get(offset)!;
  }

  private fault(text: string): void {
    this.faults.push(text);
    void this.life?.kill();
  }
}

const isDone = ({ nature, successes, letters }: Simulated): boolean => nature === 'other' || successes > 0 || letters > 0;
