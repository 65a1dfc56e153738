import { setTimeout as sleep } from 'node:timers/promises';
import { positionsName, type Subscription } from '@pca/event-bus';
import { backOffMs, endedGenerations, type Group, openGroup } from '@pca/outbox';
import type { Database } from '../database/database.js';
import type { Logger } from '../observability/logger.js';
import { askedGauge } from '../observability/metrics.js';
import { type ConsumerDefinition, topicsOf } from './consumer.js';
import { EventConsumer } from './event-consumer.js';
import type { ServiceBus } from '../messaging/service-bus.js';

const lag = askedGauge('pca_bus_lag', 'Messages that a group has not handled yet', ['group', 'topic']);

/** How soon a group with nothing to handle notices that it has begun a replay. */
const lookMs = 1_000;

interface ConsumerHost {
  readonly database: Database;
  readonly bus: ServiceBus;
  readonly logger: Logger;
}

export interface RunningConsumers {
  /** Begins nothing new until it is resumed; a consumer keeps this over replays and over an absence of the bus. */
  pause(group: string): void;
  resume(group: string): void;
  /** Each call to a handler begins so many milliseconds later; 0 ends it. */
  delay(group: string, ms: number): void;
  /** Groups that are not members on the bus now. */
  absent(): readonly string[];
  /** Waits for the calls under way. */
  close(): Promise<void>;
}

/** Consumes until it is closed, whatever is away in the meantime. */
export const startConsumers = (host: ConsumerHost, definitions: readonly ConsumerDefinition[]): RunningConsumers => {
  const members = new Map(definitions.map((definition) => [definition.group, new GroupMember(host, definition)]));
  if (members.size !== definitions.length) throw new Error('Two consumers of a service have the same group');
  const memberOf = (group: string): GroupMember => {
    const member = members.get(group);
    if (!member) throw new Error(`There is no group ${group}`);
    return member;
  };
  const timer = setInterval(() => void endOldGenerations(host.database, [...members.values()]), lookMs);
  return {
    pause: (group) => memberOf(group).set({ paused: true }),
    resume: (group) => memberOf(group).set({ paused: false }),
    delay: (group, ms) => memberOf(group).set({ delayMs: ms }),
    absent: () => [...members].flatMap(([group, member]) => (member.isPresent ? [] : [group])),
    close: async () => {
      clearInterval(timer);
      await Promise.all([...members.values()].map((member) => member.close()));
    },
  };
};

const endOldGenerations = async (database: Database, members: readonly GroupMember[]): Promise<void> => {
  const groups = members.flatMap(({ current }) => (current ? [current] : []));
  if (groups.length === 0) return;
  // While the database is away nobody begins a replay.
  const ended = await endedGenerations(database.pool, groups).catch(() => new Set<number>());
  for (const member of members) if (member.current && ended.has(member.current.id)) member.endGeneration();
};

/** One consumer of this process: joins its group under the generation that it has, and joins anew when that ends. */
class GroupMember {
  /** The group, as it was opened. */
  current: Group | undefined;
  private subscription: Subscription | undefined;
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
    const { on: _on, reset: _reset, ...options } = this.definition;
    const group = await openGroup(database.pool, options.group);
    const generation = new AbortController();
    const { handle } = new EventConsumer(this.definition, group, database, () => generation.abort());
    const opened = await bus.open();
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
