import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresEventBus } from '@pca/event-bus';
import { type PrivatePostgres, startPrivatePostgres } from '@pca/testing';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { messageOf } from '../../event-bus/test/messages.js';
import { randomFrom } from '../../event-bus/test/random.js';
import { auditEffects, createEffects, effectsTopic } from './effects.js';
import { Spawned } from './processes/spawned.js';

const rounds = Number(process.env['KILL_ROUNDS'] ?? 12);
const timeout = 180_000 + rounds * 8_000;
let server: PrivatePostgres | undefined;
let consumers: Spawned[] = [];

afterEach(async () => {
  await Promise.all(consumers.map((consumer) => consumer.kill()));
  await server?.stop();
});

// Broken by: an inbox row outside the transaction of the effect, a position kept before the handler has ended, an effect outside the
// transaction, an inbox that forgets.
it('has each effect exactly once, whatever is killed or thrown at whatever moment', { timeout }, async () => {
  const random = randomFrom('inbox kill');
  server = await startPrivatePostgres();
  const own = await server.createDatabase();
  const busDatabase = await server.createDatabase();
  const openPool = () => {
    const pool = new pg.Pool({ connectionString: own.url, max: 2 });
    pool.on('error', () => undefined);
    return pool;
  };
  let pool = openPool();
  await createEffects(pool);
  const startConsumer = () => new Spawned('consumer.ts', [own.url, busDatabase.url, String(random.below(2 ** 31))]);
  consumers = [startConsumer(), startConsumer()];

  const sequences = new Map<string, number>();
  const published = async (): Promise<number> => {
    const messages = Array.from({ length: 40 + random.below(160) }, () => {
      const key = `order-${random.below(25)}`;
      const sequence = (sequences.get(key) ?? 0) + 1;
      sequences.set(key, sequence);
      return messageOf(effectsTopic, key, sequence);
    });
    const bus = await PostgresEventBus.connect({ url: busDatabase.url, topics: { [effectsTopic]: { partitions: 4 } } });
    await bus.publish(messages);
    // As a relay does whose answer got lost: the same ids once more.
    if (random.chance(0.3)) await bus.publish(messages);
    await bus.close();
    return messages.length;
  };
  let count = 0;
  for (let round = 0; round < rounds; round += 1) {
    count += await published();
    await sleep(random.below(500));
    if (round % 5 === 4) {
      await pool.end();
      await server.kill();
      await server.start();
      pool = openPool();
    } else {
      const victim = random.below(2);
      await consumers[victim]!.kill();
      consumers[victim] = startConsumer();
    }
  }
  await expect.poll(async () => (await auditEffects(pool)).events, { timeout: 120_000 }).toBe(count);
  await Promise.all(consumers.map((consumer) => consumer.finish()));
  const report = await auditEffects(pool);
  await pool.end();
  process.stdout.write(`${rounds} kills: ${JSON.stringify(report)}\n`);
  expect(report, `seed ${random.seed}`).toEqual({ events: count, twice: 0, total: count, inversions: 0, followUps: count });
});
