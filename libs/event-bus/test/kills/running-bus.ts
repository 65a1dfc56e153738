import { setTimeout as sleep } from 'node:timers/promises';
import { type PrivatePostgres, startPrivatePostgres } from '@pca/testing';
import pg from 'pg';
import { Spawned } from '../../../outbox/test/processes/spawned.js';
import { connectEventBus, type EventBus, type EventBusAdmin, type EventBusConfig } from '../../src/index.js';
import { type BusServer, busServers } from './bus-server.js';
import { createEffects } from './effects.js';
import type { ConsumerOrders, WriterOrders } from './processes/orders.js';

export const topic = 'kills.events.v1';
export const group = 'effects';
const stuckMs = 60_000;
/** For the questions of the test itself: what its processes have to notice soon is no limit for them. */
const queryMsMax = 20_000;

/** A bus, a database for effects, and processes on them. */
export class RunningBus {
  private readonly processes = new Set<Spawned>();
  private writers = 0;

  private constructor(
    readonly server: BusServer,
    readonly effects: PrivatePostgres,
    readonly effectsUrl: string,
  ) {}

  static async start(adapter: keyof typeof busServers): Promise<RunningBus> {
    const [server, effects] = await Promise.all([busServers[adapter](topic), startPrivatePostgres()]);
    const { url } = await effects.createDatabase();
    const running = new RunningBus(server, effects, url);
    await running.withEffects(createEffects);
    return running;
  }

  startWriter(seed: number): Spawned {
    const orders: WriterOrders = { bus: this.server.config, topic, name: `writer ${(this.writers += 1)}`, seed };
    return this.spawn('writer.ts', orders);
  }

  startConsumer(seed: number, orders: Partial<ConsumerOrders> = {}): Spawned {
    const whole: ConsumerOrders = {
      bus: this.server.config,
      topic,
      effectsUrl: this.effectsUrl,
      groups: [group],
      seed,
      batchSize: 50,
      slowMs: 0,
      throws: 0,
      attemptsMax: 5,
      ...orders,
    };
    return this.spawn('consumer.ts', whole);
  }

  async withEffects<T>(ask: (pool: pg.Pool) => Promise<T>): Promise<T> {
    const pool = new pg.Pool({ connectionString: this.effectsUrl, max: 1 });
    pool.on('error', () => undefined);
    try {
      return await ask(pool);
    } finally {
      await pool.end();
    }
  }

  async withBus<T>(ask: (bus: EventBus & EventBusAdmin) => Promise<T>): Promise<T> {
    const { config } = this.server;
    const bus = await connectEventBus({ ...config, limits: { ...config.limits, queryMsMax } } as EventBusConfig);
    try {
      return await ask(bus);
    } finally {
      await bus.close();
    }
  }

  /** Resolves when the groups have done everything that is there. Throws when they have come no further for a minute. */
  async drained(...groups: readonly string[]): Promise<void> {
    let least = Infinity;
    for (let since = performance.now(); least > 0;) {
      const lag = await this.lag(groups);
      if (lag < least) [least, since] = [lag, performance.now()];
      else if (performance.now() - since > stuckMs) throw new Error(`${groups.join(', ')} do not get below a lag of ${least}`);
      else await sleep(200);
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.processes].map((process) => process.kill()));
    await Promise.all([this.server.stop(), this.effects.stop()]);
  }

  /** What the groups have not done yet; Infinity while one has no position, or the bus does not answer. */
  private async lag(groups: readonly string[]): Promise<number> {
    const ask = (bus: EventBusAdmin) => Promise.all(groups.map((name) => bus.lag(name)));
    const lags = await this.withBus(ask).catch(() => [[]]);
    return lags.some(({ length }) => length === 0) ? Infinity : lags.flat().reduce((sum, { lag }) => sum + lag, 0);
  }

  private spawn(script: string, orders: WriterOrders | ConsumerOrders): Spawned {
    const process = new Spawned(new URL(`./processes/${script}`, import.meta.url).href, [JSON.stringify(orders)]);
    this.processes.add(process);
    return process;
  }
}

/** The ids that a writer said were acknowledged. */
export const acknowledgedBy = (writer: Spawned): string[] =>
  writer.lines.filter((line) => line.startsWith('ack ')).flatMap((line) => line.slice(4).split(' '));
