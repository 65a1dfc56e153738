import { setTimeout as sleep } from 'node:timers/promises';
import { type DeliveredMessage, PostgresEventBus } from '@pca/event-bus';
import pg from 'pg';
import { randomFrom } from '../../../event-bus/test/random.js';
import { openGroup } from '../../src/index.js';
import { applyEffects, effectsGroup, effectsTopic } from '../effects.js';

// A service that consumes: now and then it is slow, and now and then it throws when everything is written and nothing committed. SIGTERM
// drains it.
const [url, busUrl, seed] = process.argv.slice(2) as [string, string, string];
const random = randomFrom('consumer', Number(seed));
const pool = new pg.Pool({ connectionString: url, max: 6, connectionTimeoutMillis: 2_000 });
pool.on('error', () => undefined);
// A connection may break before whoever asked for it listens.
pool.on('connect', (client) => client.on('error', () => undefined));

const untilDone = async <T>(work: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await work();
    } catch {
      await sleep(50);
    }
  }
};
const group = await untilDone(() => openGroup(pool, effectsGroup));

const handle = async (messages: readonly DeliveredMessage[]): Promise<void> => {
  const client = await pool.connect();
  const ignored = () => undefined;
  client.on('error', ignored);
  let failure: Error | undefined;
  try {
    await client.query('begin');
    await applyEffects(client, group, messages);
    if (random.chance(0.3)) await sleep(random.below(60));
    if (random.chance(0.15)) throw new Error('changed my mind');
    await client.query('commit');
    // Here the effect is there, and the bus does not know yet.
    if (random.chance(0.3)) await sleep(random.below(60));
    if (random.chance(0.1)) throw new Error('after the commit');
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.off('error', ignored);
    client.release(failure);
  }
};

const bus = await untilDone(() => PostgresEventBus.connect({ url: busUrl, limits: { queryMsMax: 2_000 } }));
const subscription = await untilDone(() =>
  bus.subscribe({ group: effectsGroup, topics: [effectsTopic], handle, batchSize: 40, attemptsMax: 100, retryMs: 5 }),
);
process.once('SIGTERM', () => {
  void (async () => {
    await subscription.close();
    await bus.close();
    await pool.end();
  })();
});
process.stdout.write('started\n');
