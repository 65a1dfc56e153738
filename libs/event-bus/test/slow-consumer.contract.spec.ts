import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { requiresKafka } from '@pca/testing';
import { v7 as uuidv7 } from 'uuid';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PartitionWorker } from '../src/delivery/partition-worker.js';
import type { DeliveredMessage } from '../src/index.js';
import type { BusAdapter, BusHarness } from './harness/bus-harness.js';
import { kafkaAdapter } from './harness/kafka-adapter.js';
import { postgresAdapter } from './harness/postgres-adapter.js';
import { messageOf, sequenceOf } from './messages.js';

const partitions = 2;
const mebibyte = 1024 * 1024;
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
/** What the process holds, garbage aside. */
const bytesHeld = (): number => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** Counts what the bus hands to its deliveries. */
const countOffers = (): (() => number) => {
  let offered = 0;
  const { offer } = PartitionWorker.prototype;
  const spy = vi.spyOn(PartitionWorker.prototype, 'offer').mockImplementation(function (this: PartitionWorker, received) {
    offered += received.length;
    offer.call(this, received);
  });
  cleanUps.push(() => spy.mockRestore());
  return () => offered;
};

interface Load {
  /** How many calls to publish, of how many messages each, with so much text in each. */
  readonly calls: number;
  readonly messages: number;
  readonly text: () => string;
}

interface Limits {
  /** Messages that are fetched and not handled. */
  readonly heldMax: number;
  readonly bytesHeldMax: number;
}

/** A handler that stands still while a producer goes on, then a pause, then everything. */
const outrun = async (harness: BusHarness, { calls, messages, text }: Load, limits: Limits): Promise<void> => {
  const topic = `outrun.${uuidv7()}`;
  const group = `group-${uuidv7()}`;
  const bus = await harness.connect({ topics: { [topic]: { partitions } } });
  const producer = await harness.connect();
  const offered = countOffers();
  const lag = async () => (await bus.lag(group)).reduce((sum, each) => sum + each.lag, 0);
  let release: () => void = () => undefined;
  const standing = new Promise<void>((resolve) => (release = resolve));
  const last = new Map<string, number>();
  let handled = 0;
  const handle = async (batch: readonly DeliveredMessage[]) => {
    await standing;
    for (const message of batch) {
      const sequence = sequenceOf(message);
      if (sequence !== (last.get(message.key) ?? -1) + 1) throw new Error(`${message.key}: ${sequence} after ${last.get(message.key)}`);
      last.set(message.key, sequence);
    }
    handled += batch.length;
  };
  const subscription = await bus.subscribe({ group, topics: [topic], handle, attemptsMax: 100 });
  const before = bytesHeld();
  const [heldMost, bytesMost] = [{ value: 0 }, { value: 0 }];
  const look = () => {
    heldMost.value = Math.max(heldMost.value, offered() - handled);
    bytesMost.value = Math.max(bytesMost.value, bytesHeld() - before);
  };
  for (let call = 0; call < calls; call += 1) {
    const batch = Array.from({ length: messages }, (_, i) => {
      const message = messageOf(topic, `key ${call % 16}`, Math.floor(call / 16) * messages + i);
      return { ...message, envelope: { ...message.envelope, payload: { sequence: sequenceOf(message), text: text() } } };
    });
    await producer.publish(batch);
    if (call % Math.ceil(calls / 10) === 0) look();
  }
  const total = calls * messages;
  await expect.poll(lag).toBe(total);
  await expect.poll(offered).toBeGreaterThan(0);
  await sleep(500);
  look();
  subscription.pause();
  release();
  // What was begun ends, and is kept; what was fetched stays where it is.
  await expect.poll(async () => handled > 0 && (await lag()) === total - handled).toBe(true);
  const atPause = handled;
  await sleep(300);
  expect(handled).toBe(atPause);
  look();
  subscription.resume();
  await expect.poll(() => handled, { timeout: 240_000 }).toBe(total);
  await expect.poll(lag).toBe(0);
  const name = `${total} messages: ${heldMost.value} held, ${(bytesMost.value / mebibyte).toFixed(0)} MiB, ${atPause} before the pause`;
  process.stdout.write(`${name}\n`);
  expect(heldMost.value, name).toBeLessThanOrEqual(limits.heldMax);
  expect(bytesMost.value, name).toBeLessThan(limits.bytesHeldMax);
};

const noise = randomBytes(mebibyte).toString('hex');
/** Text that hardly compresses, another each time. */
const text = (length: number) => () => {
  const from = Math.floor(Math.random() * (noise.length - length));
  return noise.slice(from, from + length);
};

const slowConsumers = (adapter: BusAdapter): void => {
  describe(`a consumer on ${adapter.name} that is slower than its producer`, () => {
    const start = async (): Promise<BusHarness> => {
      const harness = await adapter.shared();
      cleanUps.push(() => harness.close());
      return harness;
    };

    // Broken by: a fetch that goes on without an end, a lag of what was not fetched alone, a pause that lets through what was fetched.
    it('holds few of many small messages', { timeout: 480_000 }, async () => {
      await outrun(await start(), { calls: 64, messages: 1_600, text: text(20) }, { heldMax: 25_000, bytesHeldMax: 64 * mebibyte });
    });

    // Broken by: a fetch that is bounded in messages alone.
    it('holds few of many large messages', { timeout: 480_000 }, async () => {
      await outrun(await start(), { calls: 80, messages: 100, text: text(15_000) }, { heldMax: 2_500, bytesHeldMax: 90 * mebibyte });
    });

    // Broken by: the same, where one row of the log is as large as a whole fetch.
    it('holds few of the largest messages, published as many at once as may be', { timeout: 480_000 }, async () => {
      await outrun(await start(), { calls: 25, messages: 8, text: text(1_000_000) }, { heldMax: 64, bytesHeldMax: 190 * mebibyte });
    });

    if (adapter.name === 'Kafka') return;
    // Broken by: a bound on what is stored compressed. What a fetch from Kafka brings is bounded before it is unpacked.
    it('holds few of many messages that compress to nothing', { timeout: 480_000 }, async () => {
      const same = 'x'.repeat(15_000);
      await outrun(await start(), { calls: 80, messages: 100, text: () => same }, { heldMax: 2_500, bytesHeldMax: 90 * mebibyte });
    });
  });
};

slowConsumers(postgresAdapter);
if (await requiresKafka()) slowConsumers(kafkaAdapter);
