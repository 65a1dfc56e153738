import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, type PrivateKafka, requiresKafka, startPrivateKafka } from '@pca/testing';
import kafkajs from 'kafkajs';
// @ts-expect-error -- kafkajs has no types for what is inside of it
import untypedBroker from 'kafkajs/src/broker/index.js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type EventBusObserver, KafkaEventBus, type KafkaEventBusOptions } from '../src/index.js';
import { kafkaErrorType, KafkaLink } from '../src/kafka/kafka-link.js';
import { messageOf, sequenceOf } from './messages.js';
import { randomFrom } from './random.js';
import { readAll } from './read-all.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

/** Keeps the set up to date: the timers that members set who put off joining. */
const timersOfWaitingMembers = (timers: Set<unknown>) => {
  const { setInterval: set, clearInterval: clear } = globalThis;
  const setting = vi.spyOn(globalThis, 'setInterval').mockImplementation((callback: () => void, ms?: number) => {
    const timer = set(callback, ms);
    if (new Error().stack?.includes('mayJoin')) timers.add(timer);
    return timer;
  });
  const clearing = vi.spyOn(globalThis, 'clearInterval').mockImplementation((timer) => {
    timers.delete(timer);
    clear(timer);
  });
  return [setting, clearing];
};

/** A broker as kafkajs sees it, of which a request can be answered in its place. */
const kafkaBroker = (untypedBroker as { readonly prototype: Record<'heartbeat' | 'joinGroup' | 'offsetCommit', () => Promise<unknown>> })
  .prototype;
const refusal = (type: string): Error => new kafkajs.KafkaJSProtocolError(Object.assign(new Error(type), { type, retriable: true }));

describe.skipIf(!(await requiresKafka()))('the bus on Kafka in trouble', () => {
  const cleanUps: (() => Promise<unknown>)[] = [];
  let broker: PrivateKafka;
  let proxy: TcpProxy;
  let topics = 0;
  let topic: string;

  beforeAll(async () => {
    const port = await freePort();
    proxy = await startTcpProxy(`tcp://127.0.0.1:${port}`);
    const advertisedPort = Number(new URL(proxy.url).port);
    broker = await startPrivateKafka({
      listeners: [{ name: 'PROXY', port, advertisedPort, protocol: 'PLAINTEXT' }],
      settings: { 'group.min.session.timeout.ms': '500' },
    });
  });
  afterAll(async () => {
    await broker?.stop();
    await proxy?.close();
  });
  afterEach(async () => {
    proxy.mode('pass');
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  const open = async (options: Partial<KafkaEventBusOptions> = {}): Promise<KafkaEventBus> => {
    topic = `trouble-${(topics += 1)}.v1`;
    const bus = await KafkaEventBus.connect({ brokers: broker.brokers, topics: { [topic]: { partitions: 2 } }, ...options });
    cleanUps.push(() => bus.close());
    return bus;
  };
  const viaProxy = () => new URL(proxy.url).host;
  const admin = async () => {
    const client = new kafkajs.Kafka({ brokers: [broker.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await client.connect();
    cleanUps.push(() => client.disconnect());
    return client;
  };

  // Broken by: a request without a time limit, a queue that waits behind it for ever, kafkajs trying on after the caller was told no.
  it('settles every publish when the broker says nothing or hangs up, and goes on when it is back', async () => {
    const failed: number[] = [];
    const observer: EventBusObserver = { publishFailed: (_, messages) => failed.push(messages) };
    const bus = await open({ brokers: viaProxy(), limits: { queryMsMax: 3_000 }, observer });
    const mine = topic;
    await bus.publish([messageOf(topic, 'key', 1)]);
    proxy.mode('silent');
    const started = performance.now();
    const behind = [2, 3].map((sequence) => bus.publish([messageOf(topic, 'key', sequence)]));
    for (const call of behind) await expect(call).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    process.stdout.write(`refused after ${Math.round(performance.now() - started)} ms\n`);
    await expect(bus.publish([messageOf(topic, 'key', 2)])).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await expect(bus.ping()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await expect(bus.lag('nobody')).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await expect(KafkaEventBus.connect({ brokers: viaProxy(), limits: { queryMsMax: 500 } })).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
    });
    proxy.mode('refuse');
    await expect(bus.publish([messageOf(topic, 'key', 2)])).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await expect(bus.subscribe({ group: 'late', topics: [topic], handle: async () => undefined })).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
    });
    proxy.mode('pass');
    await bus.publish([messageOf(topic, 'key', 4)]);
    // What was swallowed by the silent link never came to the broker.
    expect((await readAll(await open(), mine)).flat().map(sequenceOf)).toEqual([1, 4]);
    expect(failed.length).toBeGreaterThanOrEqual(3);
  });

  // Broken by: a subscription that ends with its connection, a broadcast that begins anew at the end, a position that is lost.
  it('goes on consuming after a link that was silent, and one that broke', async () => {
    const lost: Error[] = [];
    const observer: EventBusObserver = { connectionLost: (error) => lost.push(error) };
    const bus = await open({ brokers: viaProxy(), limits: { queryMsMax: 3_000, sessionMsMax: 3_000 }, observer });
    const mine = topic;
    const direct = await open();
    const grouped: number[] = [];
    const broadcast: number[] = [];
    await bus.subscribe({ group: 'link', topics: [mine], handle: async (messages) => void grouped.push(...messages.map(sequenceOf)) });
    await bus.broadcast({ topics: [mine], handle: async (messages) => void broadcast.push(...messages.map(sequenceOf)) });
    let next = 0;
    const publish = async () => direct.publish([messageOf(mine, 'key', (next += 1))]);
    await publish();
    await expect.poll(() => [grouped, broadcast]).toEqual([[1], [1]]);
    for (const mode of ['silent', 'refuse'] as const) {
      lost.length = 0;
      proxy.mode(mode);
      await publish();
      await expect.poll(() => lost.length, { message: `${mode} is noticed` }).toBeGreaterThan(0);
      await publish();
      proxy.mode('pass');
      await publish();
      const all = Array.from({ length: next }, (_, i) => i + 1);
      const firsts = (got: readonly number[]) => [...new Set(got)];
      await expect.poll(() => [firsts(grouped), firsts(broadcast)]).toEqual([all, all]);
    }
  });

  // Broken by: a leave-taking that waits for an answer without a limit, a member that goes on joining after it was closed.
  it('closes while the broker says nothing, and while the group waits for another member', async () => {
    const limits = { queryMsMax: 3_000, sessionMsMax: 3_000 };
    const far = await open({ brokers: viaProxy(), limits });
    const mine = topic;
    const direct = await open({ limits });
    const gate = Promise.withResolvers<void>();
    const begun: number[] = [];
    await direct.publish([messageOf(mine, 'key', 1)]);
    await direct.subscribe({
      group: 'closing',
      topics: [mine],
      handle: async (messages) => {
        begun.push(...messages.map(sequenceOf));
        await gate.promise;
      },
    });
    await expect.poll(() => begun).toEqual([1]);
    // The group is shared out anew when the handler has ended, and it does not.
    const joining = await (await open({ limits })).subscribe({ group: 'closing', topics: [mine], handle: async () => undefined });
    await sleep(1_000);
    await joining.close();
    const broadcast = await far.broadcast({ topics: [mine], handle: async () => undefined });
    await expect.poll(() => broadcast.positions()[mine]?.size).toBe(2);
    proxy.mode('silent');
    await far.close();
    gate.resolve();
    await direct.publish([messageOf(mine, 'key', 2)]);
    await expect.poll(() => begun).toEqual([1, 2]);
    const client = await admin();
    await expect.poll(async () => (await client.describeGroups(['closing'])).groups[0]?.members.length).toBe(1);
  });

  // Broken by: an acknowledgement that the broker has not given, a position kept before its message is done.
  it('loses nothing that was acknowledged when the broker is killed under load', async () => {
    const random = randomFrom('kill the broker');
    const bus = await open({ limits: { queryMsMax: 3_000, sessionMsMax: 3_000 } });
    const mine = topic;
    const got = new Map<string, number[]>();
    await bus.subscribe({
      group: 'kills',
      topics: [mine],
      handle: async (messages) => {
        for (const message of messages) got.set(message.key, [...(got.get(message.key) ?? []), sequenceOf(message)]);
      },
    });
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < 2; round += 1) {
      let killed = false;
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        const key = `writer ${writer}`;
        while (!killed) {
          const sequence = (acknowledged.get(key) ?? 0) + 1;
          await bus.publish([messageOf(mine, key, sequence)]).then(
            () => acknowledged.set(key, sequence),
            () => sleep(20),
          );
        }
      });
      await sleep(300 + random.below(700));
      await broker.kill();
      killed = true;
      await Promise.all(writers);
      await broker.start();
    }
    // As any publisher: again, until it is acknowledged. A broker that has just begun may not answer in time.
    const last = messageOf(mine, 'writer 0', (acknowledged.get('writer 0') ?? 0) + 1);
    const isPublished = () =>
      bus.publish([last]).then(
        () => true,
        () => false,
      );
    await expect.poll(isPublished).toBe(true);
    const missing = () =>
      [...acknowledged].flatMap(([key, last]) => {
        const found = new Set(got.get(key));
        const sequences = Array.from({ length: last }, (_, i) => i + 1).filter((sequence) => !found.has(sequence));
        return sequences.map((sequence) => `${key}: ${sequence} of ${last}`);
      });
    await expect.poll(missing, { message: `seed ${random.seed}` }).toEqual([]);
    for (const [key, sequences] of got) {
      const firsts = [...new Set(sequences)];
      expect(firsts, key).toEqual(firsts.toSorted((one, other) => one - other));
    }
    process.stdout.write(`${[...acknowledged.values()].reduce((sum, n) => sum + n, 0)} acknowledged\n`);
  });

  // Broken by: a member that ended its work in order to join, and is still held for one by the broker, which did not let it join.
  it('goes on when the broker that it would join again is still loading its groups', async () => {
    const lost: Error[] = [];
    const bus = await open({ observer: { connectionLost: (error) => lost.push(error) } });
    const got: number[] = [];
    await bus.subscribe({ group: 'loading', topics: [topic], handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
    await bus.publish([messageOf(topic, 'key', 1)]);
    await expect.poll(() => got).toEqual([1]);
    // What a broker says that has just begun, which has its moments only when the machine is slow.
    const heartbeat = vi.spyOn(kafkaBroker, 'heartbeat').mockRejectedValueOnce(refusal('NOT_COORDINATOR_FOR_GROUP'));
    const joinGroup = vi.spyOn(kafkaBroker, 'joinGroup').mockRejectedValueOnce(refusal('GROUP_LOAD_IN_PROGRESS'));
    cleanUps.push(async () => [heartbeat, joinGroup].forEach((spy) => spy.mockRestore()));
    await expect.poll(() => joinGroup.mock.calls.length).toBeGreaterThan(0);
    await bus.publish([messageOf(topic, 'key', 2)]);
    await expect.poll(() => got).toEqual([1, 2]);
    expect(lost.map(kafkaErrorType)).toEqual(['GROUP_LOAD_IN_PROGRESS']);
  });

  // Broken by: a partition that is given up for a refusal which kafkajs, whose heartbeats pass, does not hear of: nobody has it then.
  it('keeps its position when the broker has been the coordinator of its group for a moment again', async () => {
    const lost: Error[] = [];
    const bus = await open({ observer: { connectionLost: (error) => lost.push(error) } });
    const got: number[] = [];
    await bus.subscribe({ group: 'refused', topics: [topic], handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
    await bus.publish([messageOf(topic, 'key', 1)]);
    await expect.poll(() => got).toEqual([1]);
    await expect.poll(async () => (await bus.lag('refused')).map(({ lag }) => lag)).toEqual([0, 0]);
    const offsetCommit = vi.spyOn(kafkaBroker, 'offsetCommit').mockRejectedValueOnce(refusal('NOT_COORDINATOR_FOR_GROUP'));
    cleanUps.push(async () => offsetCommit.mockRestore());
    await bus.publish([messageOf(topic, 'key', 2)]);
    await expect.poll(() => offsetCommit.mock.calls.length).toBeGreaterThan(0);
    await bus.publish([messageOf(topic, 'key', 3)]);
    await expect.poll(() => got).toEqual([1, 2, 3]);
    await expect.poll(async () => (await bus.lag('refused')).map(({ lag }) => lag)).toEqual([0, 0]);
    expect(lost).toEqual([]);
  });

  // Broken by: topics that are remembered for ever by the publisher, an offset that is beyond the end of the new topic.
  it('learns a topic again that was deleted and made anew under it', async () => {
    const bus = await open();
    const mine = topic;
    const got: number[] = [];
    await bus.subscribe({ group: 'anew', topics: [mine], handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
    await bus.publish([1, 2, 3].map((sequence) => messageOf(mine, 'key', sequence)));
    await expect.poll(() => got).toEqual([1, 2, 3]);
    const client = await admin();
    await client.deleteTopics({ topics: [mine] });
    await expect
      .poll(() =>
        bus.publish([messageOf(mine, 'key', 4)]).then(
          () => 'published',
          () => 'refused',
        ),
      )
      .toBe('published');
    await expect.poll(() => got.includes(4)).toBe(true);
    expect(await bus.offsets(mine)).toHaveLength(2);
  });

  // Broken by: a part of an answer that is kept when its connection breaks, and read together with what comes over the next one.
  it('reads nothing together with half an answer that came before it', async () => {
    const link = new KafkaLink({ brokers: viaProxy() }, 1_000);
    cleanUps.push(async () => link.cut());
    const client = link.kafka.admin();
    await client.connect();
    proxy.mode('half');
    await expect(client.describeCluster()).rejects.toThrow();
    proxy.mode('pass');
    expect((await client.describeCluster()).brokers).toHaveLength(1);
  });

  // Broken by: a question that fails by design, after which the connection is made anew.
  it('is asked whether it answers over the connection that is there', async () => {
    const bus = await open();
    const connect = vi.spyOn(Socket.prototype, 'connect');
    cleanUps.push(async () => connect.mockRestore());
    for (let i = 0; i < 3; i += 1) await bus.ping();
    expect(connect).not.toHaveBeenCalled();
  });

  // Broken by: a timer for the time in which the group waits for a handler, which only another joining ends.
  it('leaves no timer behind when it closes in the middle of a rebalance that it does not see the end of', async () => {
    const limits = { queryMsMax: 3_000, sessionMsMax: 5_000 };
    const far = await open({ brokers: viaProxy(), limits });
    const mine = topic;
    const direct = await open({ limits });
    const timers = new Set<unknown>();
    const spies = timersOfWaitingMembers(timers);
    cleanUps.push(async () => spies.forEach((spy) => spy.mockRestore()));
    const gate = Promise.withResolvers<void>();
    cleanUps.push(async () => gate.resolve());
    let isBegun = false;
    await direct.publish([messageOf(mine, 'key', 1)]);
    await far.subscribe({ group: 'timers', topics: [mine], handle: () => ((isBegun = true), gate.promise) });
    await expect.poll(() => isBegun).toBe(true);
    await direct.subscribe({ group: 'timers', topics: [mine], handle: async () => undefined });
    await expect.poll(() => timers.size).toBe(1);
    proxy.mode('refuse');
    const closing = far.close();
    gate.resolve();
    await closing;
    expect(timers.size).toBe(0);
  });

  // Broken by: taking the oldest that is left for the next one without a word.
  it('reports messages that the retention took before the group had them', async () => {
    const missed: unknown[] = [];
    const bus = await open({ observer: { missed: (...report) => missed.push(report) } });
    const mine = topic;
    await bus.seek('behind', mine, 'earliest');
    await bus.publish(Array.from({ length: 10 }, (_, i) => messageOf(mine, 'key', i + 1)));
    const { partition } = (await bus.offsets(mine)).find(({ end }) => end === 10)!;
    const client = await admin();
    await client.fetchTopicMetadata({ topics: [mine] });
    await client.deleteTopicRecords({ topic: mine, partitions: [{ partition, offset: '7' }] });
    expect((await bus.offsets(mine))[partition]).toEqual({ partition, start: 7, end: 10 });
    // Broken by: a lag that counts what is gone.
    expect((await bus.lag('behind')).find((lag) => lag.partition === partition)).toEqual({ topic: mine, partition, position: 7, lag: 3 });
    const got: number[] = [];
    await bus.subscribe({ group: 'behind', topics: [mine], handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
    await expect.poll(() => got).toEqual([8, 9, 10]);
    await expect.poll(() => missed).toEqual([['behind', mine, 7]]);
  });
});
