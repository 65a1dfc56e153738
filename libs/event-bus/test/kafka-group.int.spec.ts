import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadLetterTopicOf } from '@pca/contracts';
import { freePort, type PrivateKafka, requiresKafka, startPrivateKafka } from '@pca/testing';
import kafkajs, { type Admin, type Cluster } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type DeliveredMessage, type EventBusObserver, KafkaEventBus, type KafkaEventBusOptions, type Subscription } from '../src/index.js';
import { partitionOf } from '../src/partition-of.js';
import { messageOf, sequenceOf } from './messages.js';
import { randomFrom } from './random.js';
import { readAll } from './read-all.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

/** A key of each partition, by the number of the partition. */
const keysOf = (partitions: number): string[] => {
  const keys: string[] = [];
  for (let i = 0; keys.filter(Boolean).length < partitions; i += 1) keys[partitionOf(`key ${i}`, partitions)] ??= `key ${i}`;
  return keys;
};

describe.skipIf(!(await requiresKafka()))('a group on Kafka', () => {
  const cleanUps: (() => Promise<unknown>)[] = [];
  let broker: PrivateKafka;
  let proxy: TcpProxy;
  let client: InstanceType<typeof kafkajs.Kafka>;
  let admin: Admin;
  let topics = 0;
  let topic: string;
  let group: string;

  beforeAll(async () => {
    const port = await freePort();
    proxy = await startTcpProxy(`tcp://127.0.0.1:${port}`);
    const advertisedPort = Number(new URL(proxy.url).port);
    broker = await startPrivateKafka({
      listeners: [{ name: 'PROXY', port, advertisedPort, protocol: 'PLAINTEXT' }],
      settings: { 'group.min.session.timeout.ms': '500' },
    });
    client = new kafkajs.Kafka({ brokers: [broker.brokers], logLevel: kafkajs.logLevel.NOTHING, retry: { initialRetryTime: 20 } });
    admin = client.admin();
    await admin.connect();
  });
  afterAll(async () => {
    await admin?.disconnect();
    await broker?.stop();
    await proxy?.close();
  });
  afterEach(async () => {
    proxy.mode('pass');
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  /** One more process. */
  const open = async (options: Partial<KafkaEventBusOptions> = {}): Promise<KafkaEventBus> => {
    const bus = await KafkaEventBus.connect({ brokers: broker.brokers, ...options });
    cleanUps.push(() => bus.close());
    return bus;
  };
  const newTopic = async (partitions: number, options: Partial<KafkaEventBusOptions> = {}): Promise<KafkaEventBus> => {
    topics += 1;
    topic = `group-${topics}.v1`;
    group = `group-${topics}`;
    return open({ topics: { [topic]: { partitions } }, ...options });
  };
  const owned = (subscription: Subscription): number[] => [...(subscription.positions()[topic]?.keys() ?? [])].sort();
  const kept = async () => {
    const [ofTopic] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    return ofTopic?.partitions.map(({ offset, metadata }) => ({ offset, metadata }));
  };

  // Broken by: an attempt that is counted after handling, or kept where the next member does not look.
  it('keeps what was begun beside the position, and gives the next member the count', async () => {
    const bus = await newTopic(1);
    const gate = Promise.withResolvers<void>();
    const got: DeliveredMessage[] = [];
    const handle = async (messages: readonly DeliveredMessage[]) => {
      got.push(...messages);
      await gate.promise;
    };
    await bus.publish([1, 2, 3].map((sequence) => messageOf(topic, 'key', sequence)));
    const subscription = await bus.subscribe({ group, topics: [topic], handle });
    await expect.poll(() => got.length).toBe(3);
    expect(await kept()).toEqual([{ offset: '0', metadata: '{"attempt":1,"until":3}' }]);
    gate.resolve();
    await expect.poll(kept).toEqual([{ offset: '3', metadata: null }]);
    await subscription.close();

    // What a member leaves that died four times over the first of two messages.
    await bus.publish([4, 5].map((sequence) => messageOf(topic, 'key', sequence)));
    const dead = client.consumer({ groupId: group, maxWaitTimeInMs: 100 });
    await dead.connect();
    await dead.subscribe({ topics: [topic] });
    await dead.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => undefined });
    await dead.commitOffsets([{ topic, partition: 0, offset: '3', metadata: '{"attempt":4,"until":4}' }]);
    await dead.disconnect();
    await bus.subscribe({ group, topics: [topic], handle, attemptsMax: 5 });
    await expect
      .poll(() => got.slice(3).map((message) => [sequenceOf(message), message.attempt]))
      .toEqual([
        [4, 5],
        [5, 1],
      ]);
  });

  // Broken by: a member that joins again while its handlers are at it, which gives their messages to somebody else meanwhile.
  it('ends the calls under way before it gives partitions up, and hands nothing over twice', async () => {
    const random = randomFrom('slow handlers');
    const publisher = await newTopic(6);
    const keys = keysOf(6);
    const busy = new Set<string>();
    const got: [string, number][] = [];
    const faults: string[] = [];
    const handle = async (messages: readonly DeliveredMessage[]) => {
      const mine = new Set(messages.map(({ key }) => key));
      for (const key of mine) if (busy.has(key)) faults.push(`${key} is handled twice at once`);
      for (const key of mine) busy.add(key);
      await sleep(random.below(400));
      for (const message of messages) got.push([message.key, sequenceOf(message)]);
      for (const key of mine) busy.delete(key);
    };
    const join = async () => (await open()).subscribe({ group, topics: [topic], handle, batchSize: 3, concurrency: 6 });
    const first = await join();
    const publishing = (async () => {
      for (let sequence = 1; sequence <= 60; sequence += 1) {
        await publisher.publish(keys.map((key) => messageOf(topic, key, sequence)));
        await sleep(20);
      }
    })();
    await expect.poll(() => owned(first).length).toBe(6);
    const second = await join();
    await expect.poll(() => [owned(first).length, owned(second).length]).toEqual([3, 3]);
    const third = await join();
    await expect.poll(() => [first, second, third].map((member) => owned(member).length)).toEqual([2, 2, 2]);
    await second.close();
    await expect.poll(() => [first, third].map((member) => owned(member).length)).toEqual([3, 3]);
    await publishing;
    await expect.poll(() => got.length, { timeout: 60_000 }).toBe(360);
    for (const key of keys) {
      const sequences = got.filter(([of]) => of === key).map(([, sequence]) => sequence);
      expect(sequences, `seed ${random.seed}`).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    }
    expect(faults).toEqual([]);
  });

  // Broken by: a group that waits for ever for one member, a late answer that moves the position of whoever has the partition now.
  it('waits for a handler no longer than it may, and does not heed what it says afterwards', async () => {
    // Members that are only slow must not be given up: what they had handled would come again.
    const limits = { sessionMsMax: 3_000, rebalanceMsMax: 3_000 };
    const bus = await newTopic(1, { limits });
    const gate = Promise.withResolvers<void>();
    const stuck: number[] = [];
    const other: number[] = [];
    await bus.publish([messageOf(topic, 'key', 1)]);
    const hangs = await bus.subscribe({
      group,
      topics: [topic],
      handle: async (messages) => {
        stuck.push(...messages.map(sequenceOf));
        await gate.promise;
      },
    });
    await expect.poll(() => stuck).toEqual([1]);
    const second = await open({ limits });
    await second.subscribe({ group, topics: [topic], handle: async (messages) => void other.push(...messages.map(sequenceOf)) });
    await expect.poll(() => other).toEqual([1]);
    await bus.publish([messageOf(topic, 'key', 2)]);
    await expect.poll(() => other).toEqual([1, 2]);
    await expect.poll(kept).toMatchObject([{ offset: '2' }]);
    gate.resolve();
    // It is a member again, with nothing of its own.
    await expect.poll(async () => (await admin.describeGroups([group])).groups[0]?.members.length).toBe(2);
    expect(await kept()).toMatchObject([{ offset: '2' }]);
    expect(stuck).toEqual([1]);
    await second.close();
    await bus.publish([messageOf(topic, 'key', 3)]);
    await expect.poll(() => stuck).toEqual([1, 3]);
    await hangs.close();
  });

  // Broken by: a session that does not end, heartbeats that depend on what the handler does.
  it('takes over from a member that is cut off, and not from one that takes its time', async () => {
    const limits = { sessionMsMax: 3_000, queryMsMax: 3_000 };
    const publisher = await newTopic(2);
    const keys = keysOf(2);
    const far: number[] = [];
    const near: number[] = [];
    const slow = async (messages: readonly DeliveredMessage[], got: number[]) => {
      await sleep(6_000);
      got.push(...messages.map(sequenceOf));
    };
    const cut = await open({ brokers: new URL(proxy.url).host, limits });
    const farAway = await cut.subscribe({ group, topics: [topic], handle: (messages) => slow(messages, far) });
    await (await open({ limits })).subscribe({ group, topics: [topic], handle: (messages) => slow(messages, near) });
    await expect.poll(() => owned(farAway).length).toBe(1);
    await publisher.publish(keys.map((key) => messageOf(topic, key, 1)));
    // Twice the session: nobody was taken for dead.
    await expect.poll(() => [far, near]).toEqual([[1], [1]]);
    proxy.mode('silent');
    await publisher.publish(keys.map((key) => messageOf(topic, key, 2)));
    await expect.poll(() => near.filter((sequence) => sequence === 2).length).toBe(2);
  });

  // Broken by: an assigner that gives every member a part of the leader's topics.
  it('gives members what they consume, and no more, while a new version consumes more than the old', async () => {
    const bus = await newTopic(4);
    const more = `${topic}-more`;
    const old = await bus.subscribe({ group, topics: [topic], handle: async () => undefined });
    const got: string[] = [];
    const fresh = await (
      await open()
    ).subscribe({ group, topics: [more, topic], handle: async (messages) => void got.push(...messages.map((message) => message.topic)) });
    await expect.poll(() => [owned(old).length, owned(fresh).length]).toEqual([2, 2]);
    await expect.poll(() => fresh.positions()[more]?.size).toBe(8);
    await bus.publish([messageOf(more, 'key', 1)]);
    await expect.poll(() => got).toEqual([more]);
  });

  // Broken by: partitions that are listed once and for all, or begun at their end.
  it('finds partitions that are added later, and begins them at their start', async () => {
    const bus = await newTopic(1);
    const got: number[] = [];
    await bus.subscribe({ group, topics: [topic], from: 'latest', handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    await producer.connect();
    cleanUps.push(() => producer.disconnect());
    for (const partition of [0, 1, 2]) {
      const { key, envelope } = messageOf(topic, 'key', partition);
      await producer.send({ topic, messages: [{ key, partition, value: JSON.stringify(envelope) }] });
    }
    await expect.poll(() => got.toSorted()).toEqual([0, 1, 2]);
  });

  // Broken by: taking for no position at all what kafkajs keeps for a group that the retention has overtaken.
  it('begins at the start where that is what the group has as its position', async () => {
    const bus = await newTopic(1);
    await bus.publish([messageOf(topic, 'key', 1)]);
    let cluster: Cluster | undefined;
    client.consumer({
      groupId: group,
      partitionAssigners: [
        (config) => {
          ({ cluster } = config);
          return kafkajs.PartitionAssigners.roundRobin(config);
        },
      ],
    });
    await cluster?.connect();
    cleanUps.push(async () => cluster?.disconnect());
    await cluster?.refreshMetadata();
    const coordinator = await cluster?.findGroupCoordinator({ groupId: group });
    const partitions = [{ partition: 0, offset: '-2' }];
    await coordinator?.offsetCommit({ groupId: group, groupGenerationId: -1, memberId: '', topics: [{ topic, partitions }] });
    const got: number[] = [];
    await bus.subscribe({ group, topics: [topic], from: 'latest', handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
    await expect.poll(() => got).toEqual([1]);
  });

  // Broken by: groups that pile up on the broker, one for each start of each process.
  it('leaves no group behind where a broadcast was', async () => {
    const bus = await newTopic(2);
    const got: number[] = [];
    const broadcast = await bus.broadcast({ topics: [topic], handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
    const ours = async () =>
      (await admin.listGroups()).groups.map(({ groupId }) => groupId).filter((id) => id.startsWith('pca-broadcast-'));
    await expect.poll(ours).toHaveLength(1);
    await bus.publish([messageOf(topic, 'key', 1)]);
    await expect.poll(() => got).toEqual([1]);
    await broadcast.close();
    expect(await ours()).toEqual([]);
  });

  // Broken by: a partition in trouble that holds the fetches of the others.
  it('lets a partition wait by itself', async () => {
    const retries: number[] = [];
    const observer: EventBusObserver = { retrying: ({ attempt }) => retries.push(attempt) };
    const bus = await newTopic(2, { observer });
    const [bad = '', good = ''] = keysOf(2);
    const got: number[] = [];
    const handle = async (messages: readonly DeliveredMessage[]) => {
      if (messages.some(({ key }) => key === bad)) throw new Error('not this one');
      got.push(...messages.map(sequenceOf));
    };
    await bus.subscribe({ group, topics: [topic], handle, retryMs: 60_000, batchSize: 1 });
    await bus.publish(Array.from({ length: 5 }, (_, i) => messageOf(topic, bad, i)));
    await expect.poll(() => retries).toEqual([1]);
    for (let sequence = 1; sequence <= 20; sequence += 1) await bus.publish([messageOf(topic, good, sequence)]);
    await expect.poll(() => got).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(retries).toEqual([1]);
    expect((await readAll(bus, deadLetterTopicOf(topic))).flat()).toEqual([]);
  });

  // Broken by: fetches that ask for the partitions in the same order each time: a broker gives more than the bound for the first alone.
  it('gets a large message while other partitions are never empty', async () => {
    const bus = await newTopic(3);
    const [busy = '', other = '', quiet = ''] = keysOf(3);
    const noise = (bytes: number) => randomBytes(bytes).toString('base64');
    const filled = (key: string, sequence: number, text: string) => {
      const message = messageOf(topic, key, sequence);
      return { ...message, envelope: { ...message.envelope, payload: { sequence, text } } };
    };
    const count = 40_000;
    for (let from = 0; from < count; from += 1_000) {
      const messages = Array.from({ length: 1_000 }, (_, i) => filled(i % 2 ? busy : other, from + i, noise(300)));
      await bus.publish(messages);
    }
    await bus.publish([filled(quiet, 0, noise(600_000))]);
    const got: string[] = [];
    await bus.subscribe({ group, topics: [topic], handle: async (messages) => void got.push(...messages.map(({ key }) => key)) });
    await expect.poll(() => got.length, { timeout: 60_000 }).toBe(count + 1);
    expect(got.indexOf(quiet)).toBeLessThan(count / 2);
  });
});
