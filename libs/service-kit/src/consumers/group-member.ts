import { setTimeout as sleep } from 'node:timers/promises';
import { type EventBusAdmin, positionsName, type Subscription } from '@pca/event-bus';
import { backOffMs, endReplay, type Group, openGroup } from '@pca/outbox';
import type { Database } from '../database/database.js';
import type { ServiceBus } from '../messaging/service-bus.js';
import type { Logger } from '../observability/logger.js';
import { askedGauge } from '../observability/metrics.js';
import { type ConsumerDefinition, topicsOf } from './consumer.js';
import { EventConsumer } from './event-consumer.js';

const lag = askedGauge('pca_bus_lag', 'Messages that a group has not handled yet', ['group', 'topic']);

export interface ConsumerHost {
  readonly database: Database;
  readonly bus: ServiceBus;
  readonly logger: Logger;
}

/** One consumer of this process: joins its group under the generation that it has, and joins anew when that ends. */
export class GroupMember {
  /** The group, as it was opened. */
  current: Group | undefined;
  private subscription: Subscription | undefined;
  private replayEnded: Group | undefined;
  private readonly closing = new AbortController();
  private generation = new AbortController();
  private wishes = { paused: false, delayMs: 0 };
  private readonly running: Promise<void>;
  private readonly forgetLag: () => void;

  constructor(
    private readonly host: ConsumerHost,
    private readonly definition: ConsumerDefinition,
  ) {
    const { group } = definition;
    const topics = topicsOf(definition);
    this.forgetLag = lag(
      topics.map((topic) => ({ group, topic })),
      () => this.lagOf(topics),
    );
    this.running = this.run();
  }

  get isPresent(): boolean {
    return this.subscription !== undefined;
  }

  set(wishes: Partial<GroupMember['wishes']>): void {
    this.wishes = { ...this.wishes, ...wishes };
    this.obey();
  }

  endGeneration(): void {
    this.generation.abort();
  }

  /** Where the group has caught up with its replay, the database hears of it. What cannot be asked now is asked again. */
  async endReplay(): Promise<void> {
    const { current } = this;
    if (!current || this.replayEnded === current || Object.keys(current.replayUntil).length === 0) return;
    try {
      const lags = await (await this.host.bus.open()).lag(positionsName(current.name, current.generation));
      const reached = (topic: string, partition: string): number =>
        lags.find((each) => each.topic === topic && String(each.partition) === partition)?.position ?? 0;
      const isBehind = Object.entries(current.replayUntil).some(([topic, until]) =>
        Object.entries(until).some(([partition, offset]) => reached(topic, partition) < offset),
      );
      if (isBehind) return;
      await endReplay(this.host.database.pool, current);
      this.replayEnded = current;
    } catch (err) {
      this.host.logger.debug({ err, group: current.name }, 'whether the replay has ended is not known');
    }
  }

  async close(): Promise<void> {
    this.closing.abort();
    this.generation.abort();
    this.forgetLag();
    await this.running;
  }

  private async run(): Promise<void> {
    const { logger } = this.host;
    const { group } = this.definition;
    for (let failures = 0; !this.closing.signal.aborted;) {
      try {
        await this.consume();
        failures = 0;
      } catch (err) {
        failures += 1;
        const retryInMs = backOffMs(failures);
        logger.warn({ err, group, retryInMs }, 'a consumer cannot join its group yet');
        await sleep(retryInMs, undefined, { signal: this.closing.signal }).catch(() => undefined);
      }
    }
  }

  /** Under one generation, until that ends. */
  private async consume(): Promise<void> {
    const { database, bus, logger } = this.host;
    const { on: _on, reset: _reset, inbox: _inbox, ...options } = this.definition;
    const opened = await bus.open();
    const group = await this.onThisLog(await openGroup(database.pool, options.group), opened);
    const generation = new AbortController();
    const { handle } = new EventConsumer(this.definition, group, database, () => generation.abort());
    if (this.closing.signal.aborted) return;
    // A replay takes everything that the bus keeps, wherever the group began at first.
    const from = group.generation > 0 ? 'earliest' : (options.from ?? 'earliest');
    const topics = topicsOf(this.definition);
    const subscription = await opened.subscribe({ ...options, from, topics, generation: group.generation, handle });
    this.generation = generation;
    this.current = group;
    this.subscription = subscription;
    this.obey();
    logger.info({ group: group.name, generation: group.generation }, 'consuming');
    if (!this.closing.signal.aborted) await aborted(generation.signal);
    this.current = undefined;
    this.subscription = undefined;
    await subscription.close();
  }

  /** Offsets of one log say nothing about another. Where the bus was exchanged, nothing of it was handled before. */
  private async onThisLog(group: Group, bus: EventBusAdmin): Promise<Group> {
    for (const [topic, until] of Object.entries(group.replayUntil)) {
      const ends = new Map((await bus.offsets(topic)).map(({ partition, end }) => [String(partition), end]));
      if (Object.entries(until).every(([partition, offset]) => offset <= (ends.get(partition) ?? 0))) continue;
      this.host.logger.warn({ group: group.name, topic }, 'the log is another one than that of the last replay, which counts as ended');
      await endReplay(this.host.database.pool, group);
      return { ...group, replayUntil: {} };
    }
    return group;
  }

  private obey(): void {
    if (this.wishes.paused) this.subscription?.pause();
    else this.subscription?.resume();
    this.subscription?.delay(this.wishes.delayMs);
  }

  private async lagOf(topics: readonly string[]): Promise<readonly number[]> {
    const { current } = this;
    if (!current) return [];
    const lags = await (await this.host.bus.open()).lag(positionsName(current.name, current.generation));
    return topics.map((name) => lags.filter(({ topic }) => topic === name).reduce((sum, { lag: behind }) => sum + behind, 0));
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
