import { setTimeout as sleep } from 'node:timers/promises';
import type { BusMessage } from '@pca/contracts';
import { openDeadLetters, PostgresEventBus, readTopic } from '@pca/event-bus';
import { startPrivatePostgres, type TestPostgres, testPostgres } from '@pca/testing';
import pg from 'pg';
import pino from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Health } from '../src/http/health.js';
import { beginReplay, type Database, ServiceBus, startConsumers, startMessaging } from '../src/index.js';
import { registry } from '../src/observability/metrics.js';
import { bills, changed, logger, openOrders, ordersConsumer, placed, silentBus, tallies } from './orders.js';

const waiting = { timeout: 60_000 };
const cleanUps: (() => unknown)[] = [];
let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await testPostgres();
});
afterAll(() => postgres.stop());
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const topic = 'test-orders.events.v1';
const onTopic = (messages: readonly BusMessage[]) => messages.map((message) => ({ ...message, topic }));
const openDatabase = async (url?: string): Promise<Database> => {
  const database = await openOrders(url ?? (await postgres.createDatabase()).url);
  cleanUps.push(() => database.stop());
  return database;
};
const busOn = (url: string): ServiceBus => {
  const bus = silentBus({ bus: 'postgres', url });
  cleanUps.push(() => bus.close());
  return bus;
};

// Broken by: a failure of the database that is counted as an attempt at the messages.
it('dead-letters nothing while its database is away, and handles everything once when it is back', { timeout: 120_000 }, async () => {
  const own = await startPrivatePostgres();
  cleanUps.push(() => own.stop());
  const database = await openDatabase((await own.createDatabase()).url);
  const bus = busOn((await postgres.createDatabase()).url);
  const running = startConsumers({ database, bus, logger }, [
    { ...ordersConsumer('orders', topic), attemptsMax: 2, retryMs: 1, batchSize: 5 },
  ]);
  cleanUps.push(() => running.close());
  const publish = (from: number) => bus.publish(onTopic(Array.from({ length: 50 }, (_, i) => placed(`order-${i % 5}`, from + i))));
  const total = async () =>
    Object.values(await tallies(database))
      .join(' ')
      .split(' ').length;
  await publish(0);
  await expect.poll(total, waiting).toBe(50);
  // Killed in the middle, refusing, starting, and killed again.
  await publish(50);
  await own.kill();
  await publish(100);
  await sleep(1_500);
  await own.start();
  await sleep(200);
  await own.kill();
  await sleep(500);
  await own.start();
  await expect.poll(() => total().catch(() => 0), waiting).toBe(150);
  expect(await bills(database)).toHaveLength(150);
  expect(await openDeadLetters(await bus.open(), { topic })).toEqual([]);
});

// Broken by: a service that waits for its bus, a consumer that gives up.
it('works while the bus is away, says so, and consumes and publishes when it is there', async () => {
  const { name, url } = await postgres.createDatabase();
  const admin = new pg.Client(postgres.url('postgres'));
  await admin.connect();
  cleanUps.push(() => admin.end());
  await admin.query(`alter database ${name} allow_connections false`);
  const database = await openDatabase();
  const bus = busOn(url);
  const health = new Health();
  health.start();
  const stop = startMessaging({ database, bus, logger, consumers: [ordersConsumer('orders', topic)] }, health);
  expect((await health.degraded()).toSorted()).toEqual(['bus', 'consumer orders']);
  expect(await health.notReady()).toEqual([]);
  await sleep(500);
  await admin.query(`alter database ${name} allow_connections true`);
  await expect.poll(() => health.degraded(), waiting).toEqual([]);
  await bus.publish(onTopic([placed('a', 1)]));
  await expect.poll(() => tallies(database), waiting).toEqual({ a: 'p1' });
  // What the handler told others goes out by the relay, and the end of the service drains it.
  await bus.publish(onTopic([placed('a', 2)]));
  await expect.poll(() => tallies(database), waiting).toEqual({ a: 'p1 p2' });
  await stop();
  expect(await bills(database)).toEqual([]);
  const other = await PostgresEventBus.connect({ url });
  cleanUps.push(() => other.close());
  let count = 0;
  await readTopic(other, 'test-bills.events.v1', (messages) => (count += messages.length));
  expect(count).toBe(2);
  await expect(bus.open()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
});

// Broken by: a replay that empties a projection which the bus can not fill again.
it('replays only as far as the bus remembers, and only when that is meant', async () => {
  const { url } = await postgres.createDatabase();
  const database = await openDatabase();
  const bus = busOn(url);
  const definition = ordersConsumer('orders', topic);
  const running = startConsumers({ database, bus, logger }, [definition]);
  cleanUps.push(() => running.close());
  await bus.publish(onTopic([placed('a', 1), placed('b', 1)]));
  await expect.poll(() => tallies(database), waiting).toEqual({ a: 'p1', b: 'p1' });
  const tiny = await PostgresEventBus.connect({ url, limits: { logBytesMax: 1, keepSeconds: 0 } });
  cleanUps.push(() => tiny.close());
  await tiny.maintain();
  await bus.publish(onTopic([changed('a', 2)]));
  await expect.poll(() => tallies(database), waiting).toEqual({ a: 'p1 c2', b: 'p1' });
  await expect(beginReplay({ database, bus }, definition)).rejects.toMatchObject({ code: 'CONFLICT', details: { topic, dropped: 2 } });
  expect(await tallies(database)).toEqual({ a: 'p1 c2', b: 'p1' });
  await beginReplay({ database, bus }, definition, { partial: true });
  await expect.poll(() => tallies(database), waiting).toEqual({ a: 'c2' });
  expect(await bills(database)).toHaveLength(2);
});

// Broken by: offsets of a log that is gone, by which the first messages of a new one would count as told long ago.
it('forgets what was replayed once that has been caught up with, and when the bus was exchanged', async () => {
  const database = await openDatabase();
  const definition = ordersConsumer('orders', topic);
  const replayUntil = async (): Promise<unknown> =>
    (await database.pool.query<{ until: unknown }>('select replay_until as until from consumer_group')).rows[0]?.until;
  const first = busOn((await postgres.createDatabase()).url);
  const running = startConsumers({ database, bus: first, logger }, [definition]);
  cleanUps.push(() => running.close());
  await first.publish(onTopic([placed('a', 1), placed('b', 1)]));
  await expect.poll(() => tallies(database), waiting).toEqual({ a: 'p1', b: 'p1' });
  running.pause('orders');
  const group = await beginReplay({ database, bus: first }, definition);
  expect(await replayUntil()).toEqual(group.replayUntil);
  expect(Object.values(group.replayUntil[topic] ?? {}).reduce((sum, offset) => sum + offset, 0)).toBe(2);
  running.resume('orders');
  await expect.poll(replayUntil, waiting).toEqual({});
  await running.close();

  // As if the bus had been exchanged before that.
  await database.pool.query('update consumer_group set replay_until = $1', [JSON.stringify(group.replayUntil)]);
  const second = busOn((await postgres.createDatabase()).url);
  const again = startConsumers({ database, bus: second, logger }, [definition]);
  cleanUps.push(() => again.close());
  await expect.poll(() => again.absent(), waiting).toEqual([]);
  expect(await replayUntil()).toEqual({});
  await second.publish(onTopic([placed('a', 2), placed('b', 2)]));
  await expect.poll(() => tallies(database), waiting).toEqual({ a: 'p1 p2', b: 'p1 p2' });
  expect(await bills(database)).toHaveLength(4);
});

// Broken by: a metric that throws while what it asks is away, ERROR for what mends itself, silence about what does not.
it('shows lag, outcomes, repeats and dead rows as metrics, and logs what a person must do', async () => {
  const lines: { level: number; msg: string; group?: string }[] = [];
  const loud = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) });
  const { url } = await postgres.createDatabase();
  const group = `orders-${uuidv7()}`;
  const database = await openDatabase();
  const bus = new ServiceBus({ bus: 'postgres', url }, loud);
  cleanUps.push(() => bus.close());
  const definition = ordersConsumer(group, topic, (events) => {
    if (events.some(({ key }) => key === 'bad')) throw new Error('never');
  });
  const stop = startMessaging({ database, bus, logger: loud, consumers: [{ ...definition, attemptsMax: 2, retryMs: 1 }] }, new Health());
  const valueOf = async (name: string, ...labels: string[]): Promise<number> => {
    const line = (await registry.metrics())
      .split('\n')
      .find((each) => each.startsWith(name) && labels.every((label) => each.includes(`"${label}"`)));
    return Number(line?.split(' ').at(-1));
  };
  const [message] = onTopic([placed('a', 1)]);
  await bus.publish([message!, message!, ...onTopic([placed('bad', 1), changed('a', 2)])]);
  await database.pool.query(`insert into outbox (topic, message) values ('x', 'no JSON')`);
  await expect.poll(() => valueOf('pca_bus_dead_letters_total', group), waiting).toBe(1);
  await expect.poll(() => valueOf('pca_bus_lag', group, topic), waiting).toBe(0);
  await expect.poll(() => valueOf('pca_outbox_dead '), waiting).toBe(1);
  await expect.poll(() => valueOf('pca_outbox_depth'), waiting).toBe(0);
  expect(await valueOf('pca_bus_delivered_total', group, topic, 'handled')).toBe(2);
  expect(await valueOf('pca_inbox_repeats_total', group)).toBe(1);
  expect(await valueOf('pca_bus_retries_total', group)).toBeGreaterThan(0);
  expect(await valueOf('pca_bus_published_total', topic)).toBeGreaterThanOrEqual(4);
  expect(await valueOf('pca_bus_handler_seconds_count', group)).toBeGreaterThan(0);
  expect(await valueOf('pca_inbox_oldest_age_seconds')).toBeGreaterThanOrEqual(0);
  const errors = lines.filter(({ level }) => level === 50).map(({ msg }) => msg);
  expect(errors.toSorted()).toEqual([
    'a message was given up and waits among the dead letters',
    'an event can never be published and was moved to outbox_dead',
  ]);
  expect(lines.some(({ level, msg }) => level === 40 && msg.includes('tried again'))).toBe(true);
  await bus.close();
  expect(await valueOf('pca_bus_lag', group, topic)).toBeNaN();
  await stop();
});
