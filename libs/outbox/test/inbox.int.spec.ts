import { setTimeout as sleep } from 'node:timers/promises';
import type { DeliveredMessage } from '@pca/event-bus';
import { testPostgres, type TestPostgres } from '@pca/testing';
import pg from 'pg';
import { v4 as uuidv4 } from 'uuid';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { messageOf } from '../../event-bus/test/messages.js';
import { randomFrom } from '../../event-bus/test/random.js';
import {
  beginGeneration,
  endedGenerations,
  enqueue,
  ensureInboxTable,
  ensureOutboxTable,
  forget,
  GenerationEnded,
  inboxOldestAgeSeconds,
  openGroup,
  pruneInbox,
  type Queryable,
  receive,
  silenceOutbox,
} from '../src/index.js';

const topic = 'test.counted.v1';
let postgres: TestPostgres;
let pool: pg.Pool;

beforeAll(async () => {
  postgres = await testPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  pool = new pg.Pool({ connectionString: (await postgres.createDatabase()).url, max: 12 });
  await ensureInboxTable(pool);
});
afterEach(() => pool.end());

const delivered = (partition: number, offset: number, id: string = uuidv4()): DeliveredMessage => {
  const message = messageOf(topic, 'key', offset);
  return { ...message, envelope: { ...message.envelope, id }, partition, offset, attempt: 1 };
};
const inTransaction = async <T>(work: (client: Queryable) => Promise<T>, end: 'commit' | 'rollback' = 'commit'): Promise<T> => {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query(end);
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
};

it('makes its tables once, from eight processes at once', async () => {
  const other = new pg.Pool({ connectionString: (await postgres.createDatabase()).url, max: 8 });
  await Promise.all(Array.from({ length: 8 }, () => ensureInboxTable(other)));
  const groups = await Promise.all(Array.from({ length: 8 }, () => openGroup(other, 'one')));
  expect(new Set(groups.map(({ id }) => id)).size).toBe(1);
  expect(groups[0]).toMatchObject({ name: 'one', generation: 0, replayUntil: {} });
  await other.end();
});

// Broken by: an inbox by event alone, rows outside the handler's transaction, a batch that trips over its own repeats, an answer in another
// order, replays told by the offset alone or by the inbox alone, a second replay that forgets the first, what a replay gives up and forgets
// for good.
it('answers as a model does: random batches, repeats, rollbacks, groups and replays', async () => {
  const random = randomFrom('inbox');
  const ids = Array.from({ length: 60 }, () => uuidv4());
  const names = ['first', 'second'];
  const groups = new Map(await Promise.all(names.map(async (name) => [name, await openGroup(pool, name)] as const)));
  const handledIn = new Map<string, number>();
  for (let step = 0; step < 300; step += 1) {
    const name = random.pick(names);
    const group = groups.get(name)!;
    if (random.chance(0.05)) {
      const done = { [topic]: { 0: random.below(40), 1: random.below(40) } };
      const next = await inTransaction((client) => beginGeneration(client, group, done));
      expect(next.generation).toBe(group.generation + 1);
      expect(await openGroup(pool, name)).toEqual(next);
      for (const partition of [0, 1] as const) {
        const reached = Math.max(group.replayUntil[topic]?.[partition] ?? 0, done[topic]![partition]);
        expect(next.replayUntil[topic]![partition]).toBe(reached);
      }
      groups.set(name, next);
      continue;
    }
    const batch = Array.from({ length: 1 + random.below(12) }, () => delivered(random.below(2), random.below(60), random.pick(ids)));
    const end = random.chance(0.2) ? 'rollback' : 'commit';
    const isGivenUp = ({ envelope }: DeliveredMessage) => ids.indexOf(envelope.id) % 5 === step % 7;
    const taken = await inTransaction(async (client) => {
      const received = await receive(client, group, batch);
      const givenUp = received.filter(({ message }) => isGivenUp(message));
      await forget(client, group, givenUp);
      return received;
    }, end);
    const expected = batch.filter((message, index) => {
      const isFirstOfBatch = batch.findIndex(({ envelope }) => envelope.id === message.envelope.id) === index;
      return isFirstOfBatch && handledIn.get(`${name} ${message.envelope.id}`) !== group.generation;
    });
    const replayed = (message: DeliveredMessage) =>
      handledIn.has(`${name} ${message.envelope.id}`) || message.offset < (group.replayUntil[topic]?.[message.partition] ?? 0);
    expect(taken, `seed ${random.seed}, step ${step}`).toEqual(expected.map((message) => ({ message, replayed: replayed(message) })));
    if (end === 'rollback') continue;
    for (const message of expected) {
      const key = `${name} ${message.envelope.id}`;
      if (!isGivenUp(message)) handledIn.set(key, group.generation);
      else if (replayed(message)) handledIn.set(key, group.generation - 1);
    }
  }
});

// Broken by: a look at the generation that is older than the wait for the lock.
it('lets nobody write for an old generation once a replay has begun, not even who waited for it', async () => {
  const group = await openGroup(pool, 'one');
  const other = await openGroup(pool, 'other');
  const replay = await pool.connect();
  await replay.query('begin');
  const next = await beginGeneration(replay, group, {});
  const late = inTransaction((client) => receive(client, group, [delivered(0, 1)]));
  late.catch(() => undefined);
  // Other groups go on meanwhile.
  expect(await inTransaction((client) => receive(client, other, [delivered(0, 1)]))).toHaveLength(1);
  await replay.query('commit');
  replay.release();
  await expect(late).rejects.toThrow(GenerationEnded);
  await expect(inTransaction((client) => beginGeneration(client, group, {}))).rejects.toThrow(GenerationEnded);
  expect(await inTransaction((client) => receive(client, next, [delivered(0, 1)]))).toHaveLength(1);
  expect([...(await endedGenerations(pool, [group, other]))]).toEqual([group.id]);
  expect((await endedGenerations(pool, [next, other])).size).toBe(0);
});

// Broken by: a row lock in place of the advisory one, which shared lockers pass by.
it('begins a replay between handlers that never leave a gap', async () => {
  const group = await openGroup(pool, 'one');
  let begun = false;
  const handlers = Array.from({ length: 6 }, async () => {
    for (let offset = 0; !begun; offset += 1) {
      await inTransaction(async (client) => {
        await receive(client, group, [delivered(0, offset)]);
        await sleep(20);
      }).catch((error: unknown) => expect(error).toBeInstanceOf(GenerationEnded));
    }
  });
  await sleep(100);
  await inTransaction((client) => beginGeneration(client, group, {}));
  begun = true;
  await Promise.all(handlers);
});

// Broken by: a second transaction that does not wait for the first one's end.
it('gives a message to one of two that have it at once, and to the second when the first one fails', async () => {
  const group = await openGroup(pool, 'one');
  for (const end of ['commit', 'rollback'] as const) {
    const message = delivered(0, 1);
    const first = await pool.connect();
    await first.query('begin');
    expect(await receive(first, group, [message])).toHaveLength(1);
    const second = inTransaction((client) => receive(client, group, [message]));
    await sleep(30);
    await first.query(end);
    first.release();
    expect(await second).toHaveLength(end === 'commit' ? 0 : 1);
  }
});

// Broken by: pruning by anything but the time of handling, or one statement for everything.
it('drops what is older than eight days, batch by batch, also from two instances at once', async () => {
  const group = await openGroup(pool, 'one');
  expect(await inboxOldestAgeSeconds(pool)).toBe(0);
  await pool.query(
    `insert into inbox (group_id, event_id, generation, received_at)
     select $1, gen_random_uuid(), 0, now() - make_interval(days => 7 + 2 * (i % 2)) from generate_series(1, 24000) as i`,
    [group.id],
  );
  expect(await inboxOldestAgeSeconds(pool)).toBeGreaterThan(8.9 * 86_400);
  await Promise.all([pruneInbox(pool), pruneInbox(pool)]);
  await pruneInbox(pool);
  const { rows } = await pool.query("select count(*)::int as left, max(now() - received_at) < interval '8 days' as young from inbox");
  expect(rows).toEqual([{ left: 12_000, young: true }]);
});

// Broken by: silence that belongs to an object or a session in place of the transaction.
it('keeps nothing that is enqueued while its transaction is silent, and no other transaction is', async () => {
  await ensureOutboxTable(pool);
  const client = await pool.connect();
  const keep = (sequence: number) => enqueue(client, [messageOf(topic, 'key', sequence)]);
  await client.query('begin');
  await keep(1);
  await silenceOutbox(client, true);
  await keep(2);
  await silenceOutbox(client, false);
  await keep(3);
  await silenceOutbox(client, true);
  await keep(4);
  await client.query('commit');
  await keep(5);
  await client.query('begin');
  await silenceOutbox(client, true);
  await client.query('rollback');
  await keep(6);
  client.release();
  const { rows } = await pool.query<{ sequence: number }>(
    `select (message::json #>> '{envelope,payload,sequence}')::int as sequence from outbox order by id`,
  );
  expect(rows.map(({ sequence }) => sequence)).toEqual([1, 3, 5, 6]);
});
