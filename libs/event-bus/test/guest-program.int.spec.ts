import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { behaviourTopic, campaignDeleted, campaignsTopic, makeEvent, parseEvent } from '@pca/contracts';
import { requiresKafka, startPrivateKafka, testPostgres } from '@pca/testing';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { type DeliveredMessage, type EventBus, KafkaEventBus, PostgresEventBus } from '../src/index.js';
import { partitionOf } from '../src/partition-of.js';
import { randomFrom } from './random.js';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const origin = { workspaceId: 'demo', correlationId: 'c' };

interface Seen {
  readonly from: number;
  readonly id: string;
  readonly version: number;
}

/** The guest publishes version 7 of the key, then tells of every event that it reads. */
const startGuest = (engine: string, address: string, key: string): { seen: () => Seen[]; errors: () => string } => {
  const folder = join(import.meta.dirname, 'guests');
  const args = [engine, address, join(import.meta.dirname, '../../../docs/asyncapi.json'), campaignDeleted.type, key];
  const child = spawn(process.execPath, ['--disable-warning=TimeoutNegativeWarning', join(folder, 'guest.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  cleanUps.push(() => child.kill());
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const seen = () =>
    output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Seen);
  return { seen, errors: () => errors };
};

const talkWithGuest = async (engine: string, address: string, bus: EventBus): Promise<void> => {
  const key = '0198c5f0-0000-7000-8000-00000000000a';
  const versionMade = (version: number) => makeEvent(campaignDeleted, { campaignId: key, version, actor: 'ann' }, origin);
  await bus.publish([versionMade(6)]);
  const got: DeliveredMessage[] = [];
  await bus.subscribe({ group: 'hosts', topics: [campaignsTopic], handle: async (messages) => void got.push(...messages) });
  const guest = startGuest(engine, address, key);
  const versions = () => got.map(({ envelope }) => (parseEvent(envelope).payload as { version: number }).version);
  await expect.poll(() => `${versions().join()}${guest.errors()}`).toBe('6,7');
  await bus.publish([versionMade(8)]);
  await expect.poll(() => guest.seen().map(({ version }) => version)).toEqual([6, 7, 8]);
  // All of them in one partition, or the key would have no order.
  expect(new Set([...got.map(({ partition }) => partition), ...guest.seen().map(({ from }) => from)]).size).toBe(1);
  expect(got[1]?.key).toBe(key);
};

// Broken by: another partitioner in SQL than in our publishers, a row that our consumers cannot read, an AsyncAPI document that lies.
it('lets a program publish and consume over SQL that has the AsyncAPI document and none of our code', async () => {
  const postgres = await testPostgres();
  cleanUps.push(() => postgres.stop());
  const { url } = await postgres.createDatabase();
  const bus = await PostgresEventBus.connect({ url });
  cleanUps.push(() => bus.close());
  await talkWithGuest('postgres', url, bus);
});

// Broken by: a value, key or partition that is not what the document says, a codec that clients of Kafka must be taught first.
it.skipIf(!(await requiresKafka()))('lets the same program publish and consume over Kafka', async () => {
  const kafka = await startPrivateKafka();
  cleanUps.push(() => kafka.stop());
  const bus = await KafkaEventBus.connect({ brokers: kafka.brokers });
  cleanUps.push(() => bus.close());
  await talkWithGuest('kafka', kafka.brokers, bus);
});

it('chooses the same partition in SQL as everywhere else', async () => {
  const random = randomFrom('partitions in SQL');
  const postgres = await testPostgres();
  cleanUps.push(() => postgres.stop());
  const { url } = await postgres.createDatabase();
  await (await PostgresEventBus.connect({ url })).close();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const keys = Array.from({ length: 2_000 }, () =>
    String.fromCodePoint(...Array.from({ length: 1 + random.below(12) }, () => 1 + random.below(random.chance(0.2) ? 0xd7ff : 0x7e))),
  );
  for (const partitions of [1, 7, 8, 1024]) {
    const { rows } = await client.query<{ p: number }>(
      'select bus.partition_of(key, $2) as p from unnest($1::text[]) with ordinality k (key, i) order by i',
      [keys, partitions],
    );
    expect(
      rows.map(({ p }) => p),
      `seed ${random.seed}`,
    ).toEqual(keys.map((key) => partitionOf(key, partitions)));
  }
  await client.end();
});

// Broken by: rows of a bulk topic that a guest cannot read as the AsyncAPI document says, or that look empty to one who asks for lines.
it('gives a guest the rows of a bulk topic as they are stored', async () => {
  const postgres = await testPostgres();
  cleanUps.push(() => postgres.stop());
  const { url } = await postgres.createDatabase();
  const bus = await PostgresEventBus.connect({ url, topics: { [behaviourTopic]: { partitions: 1 } } });
  cleanUps.push(() => bus.close());
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  cleanUps.push(() => client.end());
  const message = (n: number) => {
    const { envelope } = makeEvent(campaignDeleted, { campaignId: randomUUID(), version: n + 1, actor: 'ann' }, origin);
    return { topic: behaviourTopic, key: `key-${n}`, envelope };
  };
  const large = Array.from({ length: 200 }, (_, n) => message(n + 1));
  await bus.publish([message(0)]);
  await bus.publish(large);
  const { rows } = await client.query<{ first_offset: string; n: number; data: Buffer }>(`select * from bus.read_rows($1, 0, 0, 1000)`, [
    behaviourTopic,
  ]);
  const lines = rows.flatMap(({ data }) => (data[0] === 0 ? zstdDecompressSync(data.subarray(5)) : data).toString().split('\n'));
  expect(rows.map(({ first_offset, n, data }) => [first_offset, n, data[0] === 0])).toEqual([
    ['0', 1, false],
    ['1', 200, true],
  ]);
  expect(rows[1]?.data.readUInt32BE(1)).toBe(Buffer.byteLength(lines.slice(1).join('\n')));
  expect(lines.slice(1).map((line) => JSON.parse(line) as unknown)).toEqual(large.map(({ key, envelope }) => ({ key, envelope })));
  await expect(client.query('select * from bus.read($1, 0, 0, 1000)', [behaviourTopic])).rejects.toThrow('are compressed');
});

// Broken by: a guest's message that nobody can read, in the way of those behind it.
it('refuses what no consumer could read', async () => {
  const postgres = await testPostgres();
  cleanUps.push(() => postgres.stop());
  const { url } = await postgres.createDatabase();
  const bus = await PostgresEventBus.connect({ url, topics: { 'guests.v1': { partitions: 1 } } });
  cleanUps.push(() => bus.close());
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const publish = (topic: string, key: string | null, envelope: object) =>
    client.query('select bus.publish($1, $2, $3)', [topic, key, JSON.stringify(envelope)]);
  const good = { id: 'a', type: 'b' };
  await expect(publish('absent.v1', 'key', good)).rejects.toThrow('there is no topic');
  await expect(publish('guests.v1', null, good)).rejects.toThrow('has a key');
  await expect(publish('guests.v1', '', good)).rejects.toThrow('1 to 1024');
  await expect(publish('guests.v1', 'k'.repeat(1025), good)).rejects.toThrow('1 to 1024');
  await expect(publish('guests.v1', 'key', { id: 'a' })).rejects.toThrow('with id and type');
  await expect(publish('guests.v1', 'key', { ...good, text: 'x'.repeat(1024 * 1024) })).rejects.toThrow('at most 1048576 bytes');
  await publish('guests.v1', 'key', good);
  expect(await bus.offsets('guests.v1')).toEqual([{ partition: 0, start: 0, end: 1 }]);
  await client.end();
});
