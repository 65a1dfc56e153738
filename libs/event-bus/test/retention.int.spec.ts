import { randomBytes } from 'node:crypto';
import { testPostgres, type TestPostgres } from '@pca/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  deadLettered,
  type DeliveredMessage,
  encodeMessage,
  lineOf,
  openDeadLetters,
  PostgresEventBus,
  type PostgresEventBusLimits,
  redrive,
  type Subscription,
} from '../src/index.js';
import { messageOf, sequenceOf } from './messages.js';
import { readAll } from './read-all.js';

const topic = 'kept.v1';
const daySeconds = 86_400;
const cleanUps: (() => Promise<unknown>)[] = [];
let postgres: TestPostgres;
let url: string;
let pool: pg.Pool;
let missed: [group: string, messages: number][];
let capped: [droppedBytes: number, bytesMax: number][];
let lost: Error[];

beforeAll(async () => {
  postgres = await testPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  ({ url } = await postgres.createDatabase());
  pool = new pg.Pool({ connectionString: url, max: 6 });
  cleanUps.push(() => pool.end());
  [missed, capped, lost] = [[], [], []];
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const open = async (limits: Partial<PostgresEventBusLimits> = {}): Promise<PostgresEventBus> => {
  const bus = await PostgresEventBus.connect({
    url,
    limits,
    topics: { [topic]: { partitions: 1 }, 'quiet.v1': { partitions: 1 } },
    observer: {
      missed: (group, _topic, messages) => missed.push([group, messages]),
      capped: (...bytes) => capped.push(bytes),
      connectionLost: (error) => lost.push(error),
    },
  });
  cleanUps.push(() => bus.close());
  return bus;
};

/** As many messages as are asked for; those with bytes hold so many that nothing can compress. */
const publish = async (bus: PostgresEventBus, from: number, to: number, bytes = 0, name = topic): Promise<void> => {
  const messages = Array.from({ length: to - from }, (_, i) => {
    const message = messageOf(name, 'key', from + i);
    const payload = { sequence: from + i, text: randomBytes(bytes / 2).toString('hex') };
    return { ...message, envelope: { ...message.envelope, payload } };
  });
  await bus.publish(messages);
};
/** Moves the past of the log away from now: a server whose clock has gone on. */
const age = (seconds: number): Promise<unknown> =>
  pool.query(
    `update bus.segment set opened_at = opened_at - make_interval(secs => $1), closed_at = closed_at - make_interval(secs => $1)`,
    [seconds],
  );
const ageGroups = (seconds: number): Promise<unknown> =>
  pool.query('update bus.consumer set seen_at = seen_at - make_interval(secs => $1)', [seconds]);
const segments = async (): Promise<number[]> => {
  const { rows } = await pool.query<{ id: number }>(
    `select id from bus.segment where to_regclass('bus.log_' || id) is not null order by id`,
  );
  return rows.map(({ id }) => id);
};
const start = async (bus: PostgresEventBus, name = topic): Promise<number> => (await bus.offsets(name))[0]!.start;
const consume = async (bus: PostgresEventBus, group: string, got: number[] = []): Promise<Subscription> =>
  bus.subscribe({ group, topics: [topic, 'quiet.v1'], handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
/** What each of the group's topics has left to do. */
const lags = async (bus: PostgresEventBus, group: string): Promise<number[]> => (await bus.lag(group)).map(({ lag }) => lag);

// Broken by: a segment for each look at an empty log, one that stays open because little is in it, one that grows over its bound.
it('opens a segment when the last is old and not empty, or large', async () => {
  const bus = await open({ segmentSeconds: daySeconds, logBytesMax: 8 * 200_000 });
  await bus.maintain();
  await age(2 * daySeconds);
  await bus.maintain();
  expect(await segments()).toEqual([1]);
  await publish(bus, 0, 1);
  await age(-2 * daySeconds);
  await bus.maintain();
  expect(await segments(), 'one that was opened tomorrow is not old').toEqual([1]);
  await age(2 * daySeconds);
  await age(daySeconds + 1);
  await bus.maintain();
  expect(await segments()).toEqual([1, 2]);
  await bus.maintain();
  expect(await segments()).toEqual([1, 2]);
  await publish(bus, 1, 2, 250_000);
  await bus.maintain();
  expect(await segments()).toEqual([1, 2, 3]);
  expect((await readAll(bus, topic)).flat().map(sequenceOf)).toEqual([0, 1]);
  expect([capped, lost]).toEqual([[], []]);
});

// Broken by: dropping by age alone, by position alone, the newest segment, or one of a group that is only slow.
it('drops what is older than the limit once every live group has done it, and no sooner', async () => {
  const bus = await open({ segmentSeconds: daySeconds, keepSeconds: 7 * daySeconds });
  const got: number[] = [];
  const quick = await consume(bus, 'quick', got);
  const slow = await consume(bus, 'slow');
  slow.pause();
  await publish(bus, 0, 10);
  await expect.poll(() => got.length).toBe(10);
  await expect.poll(() => lags(bus, 'quick')).toEqual([0, 0]);
  await age(daySeconds + 1);
  await bus.maintain();
  await publish(bus, 10, 20);
  await bus.maintain();
  expect(await start(bus), 'done by some, and young').toBe(0);
  await age(8 * daySeconds);
  await bus.maintain();
  expect(await start(bus), 'old, and not done by all').toBe(0);
  slow.resume();
  await expect.poll(() => lags(bus, 'slow')).toEqual([0, 0]);
  await bus.maintain();
  expect(await start(bus)).toBe(10);
  await age(8 * daySeconds);
  await publish(bus, 20, 30);
  await expect.poll(() => got.length).toBe(30);
  await expect.poll(() => [...slow.positions()[topic]!.values()]).toEqual([30]);
  await Promise.all([quick.close(), slow.close()]);
  await bus.maintain();
  await bus.maintain();
  // What is in the segment that was open stays with it until that is old, too.
  expect(await start(bus)).toBe(20);
  expect(missed).toEqual([]);
});

// Broken by: a group that is gone for good and pins the log, a position that is forgotten with its group too soon.
it('waits for no group that had no member for long, and tells it when it comes back how much it missed', async () => {
  const bus = await open({ segmentSeconds: 1, keepSeconds: daySeconds, groupKeepSeconds: 7 * daySeconds });
  const got: number[] = [];
  await publish(bus, 0, 5);
  await publish(bus, 0, 5, 0, 'quiet.v1');
  const first = await consume(bus, 'away', got);
  await expect.poll(() => got.length).toBe(10);
  await first.close();
  await publish(bus, 5, 12);
  await publish(bus, 5, 8, 0, 'quiet.v1');
  await age(3 * daySeconds);
  await bus.maintain();
  await age(3 * daySeconds);
  await ageGroups(6 * daySeconds);
  await bus.maintain();
  expect(await start(bus), 'six days are not long').toBe(0);
  await ageGroups(2 * daySeconds);
  await bus.maintain();
  expect(await start(bus)).toBe(12);
  expect(await lags(bus, 'away'), 'what is gone is nothing to do').toEqual([0, 0]);
  await publish(bus, 12, 15);
  got.length = 0;
  await consume(bus, 'away', got);
  await expect.poll(() => got).toEqual([12, 13, 14]);
  expect(missed).toEqual([['away', 7]]);
  await expect.poll(() => lags(bus, 'away')).toEqual([0, 0]);
  // Its position in the topic where nothing came after what it missed lies before all that is kept, and holds nothing.
  await age(2 * daySeconds);
  await bus.maintain();
  await publish(bus, 15, 16);
  await expect.poll(() => got.at(-1)).toBe(15);
  await expect.poll(() => lags(bus, 'away')).toEqual([0, 0]);
  await age(2 * daySeconds);
  await bus.maintain();
  expect(await start(bus)).toBe(15);
  await publish(bus, 8, 9, 0, 'quiet.v1');
  await expect.poll(() => got.at(-1)).toBe(8);
  expect(missed).toEqual([
    ['away', 7],
    ['away', 3],
  ]);
});

// Broken by: a group that is forgotten, with its position, while it has members.
it('forgets a group after four times as long, and never one that has members', async () => {
  const bus = await open({ keepSeconds: daySeconds, groupKeepSeconds: daySeconds });
  const got: number[] = [];
  await (await consume(bus, 'gone')).close();
  await consume(bus, 'living', got);
  await publish(bus, 0, 1);
  await expect.poll(() => got).toEqual([0]);
  await ageGroups(3.9 * daySeconds);
  await bus.maintain();
  expect(await bus.lag('gone')).toHaveLength(2);
  await ageGroups(4.1 * daySeconds);
  await bus.maintain();
  expect(await bus.lag('gone')).toEqual([]);
  expect(await bus.lag('living')).toHaveLength(2);
});

// Broken by: a cap that waits for a group or for the limit of age, one that tells nobody, one that takes more than it must.
it('stays under its cap whoever still wants what is in it, and says so', async () => {
  const logBytesMax = 2_000_000;
  const bus = await open({ logBytesMax });
  const got: number[] = [];
  const slow = await consume(bus, 'slow', got);
  await publish(bus, 0, 1);
  await expect.poll(() => got).toEqual([0]);
  slow.pause();
  for (let from = 1; from < 61; from += 1) {
    await publish(bus, from, from + 1, 100_000);
    if (from % 3 === 0) await bus.maintain();
  }
  const { rows } = await pool.query<{ bytes: string }>(
    `select sum(pg_total_relation_size(format('bus.log_%s', id)::regclass)) as bytes from bus.segment`,
  );
  expect(Number(rows[0]?.bytes)).toBeLessThan(logBytesMax);
  expect(Number(rows[0]?.bytes)).toBeGreaterThan(logBytesMax / 2);
  expect(capped.length).toBeGreaterThan(1);
  expect(new Set(capped.map(([, bytesMax]) => bytesMax))).toEqual(new Set([logBytesMax]));
  const held = await start(bus);
  expect(held).toBeGreaterThan(30);
  slow.resume();
  await expect.poll(() => got.at(-1)).toBe(60);
  // It holds what it had fetched, and goes on where the log begins now.
  const gaps = got.slice(1).map((sequence, i) => sequence - got[i]! - 1);
  expect(gaps.filter((gap) => gap > 0)).toEqual(missed.map(([, messages]) => messages));
  expect(missed).toHaveLength(1);
  expect(got.length + missed[0]![1]).toBe(61);
  await expect.poll(() => lags(bus, 'slow')).toEqual([0, 0]);
  capped.length = 0;
  await bus.maintain();
  expect(capped, 'nothing more to take').toEqual([]);
});

/** The tables as the first version made them. */
const firstVersion = `create schema bus;
  create table bus.topic (id int generated always as identity primary key, name text not null unique,
    partitions int not null check (partitions between 1 and 1024));
  create table bus.head (topic_id int not null references bus.topic (id), partition int not null, next_offset bigint not null default 0,
    primary key (topic_id, partition)) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
  create table bus.log (topic_id int not null, partition int not null, end_offset bigint not null, n int not null check (n > 0),
    appended_at timestamptz not null default clock_timestamp(), data bytea not null, primary key (topic_id, partition, end_offset));
  insert into bus.topic (name, partitions) values ('${topic}', 1), ('empty.v1', 2);
  insert into bus.head (topic_id, partition, next_offset) values (1, 0, 5), (2, 0, 0), (2, 1, 0);`;

// Broken by: tables that are made beside the old one, offsets that begin anew, a first segment that is thought to be empty or is dropped.
it('takes over a log of the first version, with all that is in it', async () => {
  await pool.query(firstVersion);
  const line = (sequence: number) => lineOf(encodeMessage(messageOf(topic, 'key', sequence)));
  const insert = 'insert into bus.log (topic_id, partition, end_offset, n, data) values (1, 0, $1, $2, $3)';
  await pool.query(insert, [2, 2, Buffer.from(`${line(0)}\n${line(1)}`)]);
  await pool.query(insert, [5, 3, Buffer.from(`${line(2)}\n${line(3)}\n${line(4)}`)]);
  const [bus, ...others] = await Promise.all(Array.from({ length: 4 }, () => open({ segmentSeconds: 1, keepSeconds: daySeconds })));
  await Promise.all(others.map((other, i) => publish(other, 5 + i, 6 + i)));
  expect((await readAll(bus!, topic)).flat().map(sequenceOf).toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  const got: number[] = [];
  await consume(bus!, 'group', got);
  await expect.poll(() => got.length).toBe(8);
  await expect.poll(() => lags(bus!, 'group')).toEqual([0, 0]);
  await age(daySeconds + 2);
  await bus!.maintain();
  await publish(bus!, 8, 9);
  expect(await segments()).toEqual([1, 2]);
  await age(daySeconds + 2);
  await bus!.maintain();
  expect(await start(bus!)).toBe(8);
  expect((await readAll(bus!, topic)).flat().map(({ offset }: DeliveredMessage) => offset)).toEqual([8]);
  expect([missed, lost]).toEqual([[], []]);
});

// Broken by: an attempt that a dead member began, and whose messages are gone, in the way of those behind them.
it('goes on behind messages that were begun by a member that died, and were dropped', async () => {
  const bus = await open({ segmentSeconds: 0, keepSeconds: 0, groupKeepSeconds: 100 });
  await publish(bus, 0, 2);
  await bus.seek('group', topic, 'earliest');
  await pool.query('update bus.cursor set attempt = 1, begun_until = 2');
  await pool.query(`update bus.consumer set seen_at = seen_at - interval '150 seconds'`);
  while ((await bus.offsets(topic))[0]?.start !== 2) await bus.maintain();
  await publish(bus, 2, 3);
  const got: number[] = [];
  await bus.subscribe({ group: 'group', topics: [topic], handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
  await expect.poll(() => got).toEqual([2]);
  expect({ missed, lost }).toEqual({ missed: [['group', 2]], lost: [] });
});

// Broken by: retention that asks only groups, of which none has a position among dead letters.
it('keeps dead letters for thirty days, when the segments that they lay in are long dropped', async () => {
  const bus = await open({ segmentSeconds: 0, keepSeconds: 0, groupKeepSeconds: 0 });
  await bus.subscribe({ group: 'group', topics: [topic], handle: async (messages) => messages.map(() => deadLettered('no use')) });
  await publish(bus, 0, 20);
  const openLetters = () => openDeadLetters(bus, { topic });
  await expect.poll(async () => (await openLetters()).length).toBe(20);
  for (let round = 0; round < 4; round += 1) {
    await publish(bus, 20 + round, 21 + round);
    await expect.poll(async () => (await openLetters()).length).toBe(21 + round);
    await bus.maintain();
  }
  expect((await bus.offsets(topic))[0]?.start).toBeGreaterThan(0);
  const [first] = await openLetters();
  expect((await redrive(bus, { topic, id: first?.ids[0] })).redriven).toHaveLength(1);
  await expect.poll(async () => (await openLetters()).length).toBe(24);
  await pool.query(`update bus.log set appended_at = appended_at - interval '31 days'`);
  await publish(bus, 30, 31);
  for (let round = 0; round < 3; round += 1) await bus.maintain();
  expect((await openLetters()).length).toBeLessThanOrEqual(1);
});
