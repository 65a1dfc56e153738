import { setTimeout as sleep } from 'node:timers/promises';
import { startPrivatePostgres, testPostgres, type TestPostgres } from '@pca/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type EventBusObserver, PostgresEventBus, type PostgresEventBusOptions, type StoredMessage } from '../src/index.js';
import { messageOf, sequenceOf } from './messages.js';
import { randomFrom } from './random.js';
import { readAll } from './read-all.js';
import { startTcpProxy } from './tcp-proxy.js';

const topic = 'test.counted.v1';
const cleanUps: (() => Promise<unknown>)[] = [];
let postgres: TestPostgres;
let url: string;
let pool: pg.Pool;

beforeAll(async () => {
  postgres = await testPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  ({ url } = await postgres.createDatabase());
  pool = new pg.Pool({ connectionString: url, max: 4 });
  cleanUps.push(() => pool.end());
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const open = async (options: Omit<PostgresEventBusOptions, 'url' | 'pool'> = {}, at = url): Promise<PostgresEventBus> => {
  const bus = await PostgresEventBus.connect({ url: at, ...options });
  cleanUps.push(() => bus.close());
  return bus;
};
const numbered = (count: number, key = 'key') => Array.from({ length: count }, (_, i) => messageOf(topic, key, i + 1));
const sequences = (messages: StoredMessage[][]) => messages.flat().map(sequenceOf);

it('opens the same new database from eight processes at once', async () => {
  const topics = { [topic]: { partitions: 3 }, other: { partitions: 1 } };
  const buses = await Promise.all(Array.from({ length: 8 }, () => open({ topics })));
  await Promise.all(buses.map((bus, i) => bus.publish([messageOf(topic, `key ${i}`, i)])));
  expect((await readAll(buses[0]!, topic)).flat()).toHaveLength(8);
  expect(await buses[1]!.heads('other')).toEqual([{ partition: 0, nextOffset: 0 }]);
});

it('keeps the partitions that a topic was made with, and makes 8 where none are named', async () => {
  const first = await open({ topics: { [topic]: { partitions: 3 } } });
  const second = await open({ topics: { [topic]: { partitions: 12 } } });
  await second.publish([messageOf('other.v1', 'key', 1)]);
  expect(await first.heads(topic)).toHaveLength(3);
  expect(await first.heads('other.v1')).toHaveLength(8);
  expect(await first.heads('absent.v1')).toEqual([]);
});

it('shares one append between concurrent calls: one row a partition, one wake-up a topic', async () => {
  const published: [string, number][] = [];
  const bus = await open({ observer: { published: (name, messages) => published.push([name, messages]) } });
  await bus.publish([messageOf(topic, 'first', 0)]);
  const listener = await pool.connect();
  const wakeUps: (string | undefined)[] = [];
  listener.on('notification', ({ payload }) => wakeUps.push(payload));
  await listener.query('listen bus');
  await Promise.all(Array.from({ length: 201 }, (_, i) => bus.publish([messageOf(topic, `key ${i}`, i)])));
  const { rows } = await pool.query<{ partition: number; n: number }>('select partition, n from bus.log order by appended_at');
  // The first of the calls went alone, the other 200 together.
  expect(published).toEqual([
    [topic, 1],
    [topic, 1],
    [topic, 200],
  ]);
  expect(rows.slice(0, 2).map(({ n }) => n)).toEqual([1, 1]);
  expect(rows.slice(2).reduce((sum, { n }) => sum + n, 0)).toBe(200);
  expect(new Set(rows.slice(2).map(({ partition }) => partition)).size).toBe(rows.length - 2);
  await listener.query('select 1');
  expect(wakeUps).toEqual([topic, topic]);
  listener.release(true);
});

it('reads from inside a packed row, by pages, within the bounds of a read', async () => {
  const random = randomFrom('reads');
  const bus = await open({ topics: { [topic]: { partitions: 1 } }, limits: { readMessagesMax: 60, batchBytesMax: 20_000 } });
  let next = 0;
  while (next < 400) await bus.publish(Array.from({ length: 1 + random.below(40) }, () => messageOf(topic, 'key', next++)));
  for (let round = 0; round < 150; round += 1) {
    const fromOffset = random.below(next + 5);
    const limit = 1 + random.below(60);
    const page = await bus.read({ topic, partition: 0, fromOffset, limit });
    expect(page.map(({ offset }) => offset)).toEqual(page.map((_, i) => fromOffset + i));
    expect(page.map(sequenceOf)).toEqual(page.map(({ offset }) => offset));
    expect(page.length).toBeLessThanOrEqual(limit);
    expect(page.length > 0, `seed ${random.seed}, offset ${fromOffset} of ${next}`).toBe(fromOffset < next);
  }
  expect(sequences(await readAll(bus, topic, 7))).toEqual(Array.from({ length: next }, (_, i) => i));
  for (const [fromOffset, limit] of [
    [-1, 1],
    [0.5, 1],
    [0, 0],
    [0, 61],
    [NaN, 1],
  ] as const) {
    await expect(bus.read({ topic, partition: 0, fromOffset, limit })).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  }
});

it('reads no more bytes at once than a batch may have', async () => {
  const bus = await open({ topics: { [topic]: { partitions: 1 } }, limits: { batchBytesMax: 50_000 } });
  for (const message of numbered(20)) {
    const payload = { sequence: sequenceOf(message), text: 'x'.repeat(20_000) };
    await bus.publish([{ ...message, envelope: { ...message.envelope, payload } }]);
  }
  expect(await bus.read({ topic, partition: 0, fromOffset: 0, limit: 100 })).toHaveLength(3);
  expect(sequences(await readAll(bus, topic))).toHaveLength(20);
});

it('says so when a row of the log does not hold what it says', async () => {
  const bus = await open({ topics: { [topic]: { partitions: 1 } } });
  await bus.publish(numbered(3));
  await pool.query('update bus.log set n = 2');
  await expect(bus.read({ topic, partition: 0, fromOffset: 0, limit: 10 })).rejects.toThrow('holds 3 messages and says 2');
});

it('holds back no more than the queue may, while an append waits', async () => {
  const bus = await open({ topics: { [topic]: { partitions: 1 } }, limits: { queueMessagesMax: 10, batchMessagesMax: 6 } });
  const holder = await pool.connect();
  await holder.query('begin; select from bus.head for update');
  const waiting = [bus.publish(numbered(6)), bus.publish(numbered(4))];
  await expect(bus.publish(numbered(1))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', details: { messagesWaiting: 10 } });
  await expect(bus.publish(numbered(7))).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  await holder.query('commit');
  holder.release();
  await Promise.all(waiting);
  await bus.publish(numbered(1));
  expect(sequences(await readAll(bus, topic))).toHaveLength(11);
});

it('fails within its time limit while the server refuses or says nothing, and works when it is back', async () => {
  const proxy = await startTcpProxy(url);
  cleanUps.push(() => proxy.close());
  const lost: Error[] = [];
  const failed: number[] = [];
  const observer: EventBusObserver = {
    connectionLost: (error) => lost.push(error),
    publishFailed: (_, messages) => failed.push(messages),
  };
  const bus = await open({ limits: { queryMsMax: 1_500 }, observer, topics: { [topic]: { partitions: 1 } } }, proxy.url);
  await bus.publish([messageOf(topic, 'key', 1)]);
  proxy.mode('silent');
  const behind = [bus.publish([messageOf(topic, 'key', 2)]), bus.publish([messageOf(topic, 'key', 3)])];
  for (const call of behind) await expect(call).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  await expect(bus.publish([messageOf(topic, 'key', 2)])).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  proxy.mode('refuse');
  await expect(bus.publish([messageOf(topic, 'key', 2)])).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  await expect(PostgresEventBus.connect({ url: proxy.url })).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  proxy.mode('pass');
  await bus.publish([messageOf(topic, 'key', 4)]);
  expect(sequences(await readAll(await open(), topic))).toEqual([1, 4]);
  // The call that waited behind the first failure was never sent, so it is not counted by the append; each append that was sent is.
  expect(failed).toEqual([1, 1, 1]);
  proxy.mode('refuse');
  while (lost.length === 0) await sleep(5);
});

it('learns its topics again when the database was made anew under it', async () => {
  const bus = await open({ topics: { [topic]: { partitions: 2 } } });
  await bus.publish(numbered(1));
  await pool.query('delete from bus.log; delete from bus.head; delete from bus.topic');
  await expect(bus.publish(numbered(1))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  await bus.publish(numbered(2));
  expect(sequences(await readAll(bus, topic))).toEqual([1, 2]);
});

it('leaves a pool that it was given open, and works on it', async () => {
  const bus = await PostgresEventBus.connect({ pool });
  await bus.publish(numbered(1));
  await bus.close();
  await bus.close();
  expect((await pool.query('select 1')).rowCount).toBe(1);
});

// Broken by: an acknowledgement before the commit is on disk. The server is told to lose what it can, and must not.
it('keeps every acknowledged message when Postgres is killed under load, whatever commit mode the database was given', async () => {
  const random = randomFrom('kill Postgres');
  const server = await startPrivatePostgres({ wal_writer_delay: '10s' });
  cleanUps.push(() => server.stop());
  const { url: at, name } = await server.createDatabase();
  const admin = new pg.Client(server.url());
  await admin.connect();
  await admin.query(`alter database ${name} set synchronous_commit = off`);
  await admin.end();
  const bus = await open({ limits: { queryMsMax: 2000 } }, at);
  const acknowledged = new Set<string>();
  for (let round = 0; round < 3; round += 1) {
    let killed = false;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let sequence = 1; !killed; sequence += 1) {
        const message = messageOf(topic, `round ${round} writer ${writer}`, sequence);
        await bus.publish([message]).then(
          () => acknowledged.add(message.envelope.id),
          () => sleep(5),
        );
      }
    });
    await sleep(100 + random.below(150));
    await server.kill();
    killed = true;
    await Promise.all(writers);
    await server.start();
  }
  const stored = (await readAll(await open({}, at), topic)).flat();
  const ids = new Set(stored.map(({ envelope }) => envelope.id));
  process.stdout.write(`${acknowledged.size} acknowledged, ${stored.length} stored\n`);
  expect([...acknowledged].filter((id) => !ids.has(id))).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(100);
});
