import { describe, expect, it } from 'vitest';
import { positionsName } from '../../src/index.js';
import type { BusAdapter } from '../harness/bus-harness.js';
import { Recorder } from '../harness/recorder.js';
import { sequenceOf } from '../messages.js';
import { randomFrom } from '../random.js';
import { inOrder, orderedWriters } from '../scenarios/ordered-writers.js';
import { keptBehind, underWay } from '../scenarios/under-way.js';
import { contractBench, eventually, numbered, sorted, upTo } from './contract-bench.js';

/** Who gets what, and from where on. */
export const groupContract = (adapter: BusAdapter): void => {
  describe(`groups on ${adapter.name}`, () => {
    const bench = contractBench(adapter.shared);
    const keys = upTo(12).map((key) => `key ${key}`);
    const lagOf = async (group: string) => (await bench.bus.lag(group)).reduce((sum, { lag }) => sum + lag, 0);
    /** Joins as another process would. */
    const join = async (
      options: { group: string; topic: string; from?: 'earliest' | 'latest'; generation?: number },
      recorder = new Recorder(),
    ) => {
      const { topic, ...rest } = options;
      const bus = await bench.harness.connect();
      const subscription = await bus.subscribe({ ...rest, topics: [topic], handle: recorder.handle });
      return { bus, subscription, recorder };
    };

    // Broken by: offsets that are not handed out under a lock through the commit, a cursor that passes over what commits late, a partition
    // of two members at once or of none, lanes that part a key, a position that is not handed over with its partition.
    it('loses nothing, repeats nothing and keeps the order per key under 16 writers, while members come and go', async () => {
      const random = randomFrom(`ordered writers on ${adapter.name}`);
      const report = await orderedWriters(bench.harness, random);
      process.stdout.write(`${adapter.name}: ${JSON.stringify(report)}\n`);
      expect(report, `seed ${random.seed}`).toMatchObject(inOrder);
    });

    // Broken by: a position that is kept before handling, or moved over a hole by whoever ends last.
    it('keeps no position beyond what is still under way', async () => {
      const report = await underWay(bench.harness);
      expect(report).toMatchObject(keptBehind);
      expect(report.beside).toBeGreaterThan(0);
    });

    // Broken by: `latest` for a group that has a position, `earliest` that begins where the process does, a position that is fixed later than
    // the call resolves.
    it('begins at the start, at the end, or where the group was', async () => {
      const topic = await bench.topic(3);
      const [all, late] = [bench.group(), bench.group()];
      await bench.bus.publish(numbered(topic, 24, keys));
      const fromStart = await join({ group: all, topic });
      const fromEnd = await join({ group: late, topic, from: 'latest' });
      await bench.bus.publish(numbered(topic, 12, keys, 25));
      await eventually(() => sorted(fromStart.recorder.sequences)).toEqual(upTo(36));
      await eventually(() => sorted(fromEnd.recorder.sequences)).toEqual(upTo(12, 25));
      await Promise.all([fromStart.bus.close(), fromEnd.bus.close()]);
      await bench.bus.publish(numbered(topic, 12, keys, 37));
      const again = await join({ group: all, topic, from: 'latest' });
      const lateAgain = await join({ group: late, topic, from: 'earliest' });
      await eventually(() => sorted(again.recorder.sequences)).toEqual(upTo(12, 37));
      await eventually(() => sorted(lateAgain.recorder.sequences)).toEqual(upTo(12, 37));
    });

    // Broken by: one position for all groups, a fetch that waits for the slowest.
    it('keeps groups apart: one that stands still holds nobody', async () => {
      const topic = await bench.topic(2);
      let release: () => void = () => undefined;
      const released = new Promise<void>((resolve) => (release = resolve));
      const slow = await join({ group: bench.group(), topic }, new Recorder(() => released));
      const failing = new Recorder(() => Promise.reject(new Error('never')));
      await join({ group: bench.group(), topic }, failing);
      const fast = await join({ group: bench.group(), topic });
      for (let from = 1; from < 60; from += 20) await bench.bus.publish(numbered(topic, 20, keys, from));
      await eventually(() => sorted(fast.recorder.sequences)).toEqual(upTo(60));
      await eventually(() => failing.begun.length).toBeGreaterThan(0);
      expect(slow.recorder.done).toEqual([]);
      release();
      await eventually(() => sorted(slow.recorder.sequences)).toEqual(upTo(60));
    });

    // Broken by: members that are never given anything, partitions that nobody or two have.
    it('shares out the partitions, again with each member that comes or goes', async () => {
      const topic = await bench.topic(6);
      const group = bench.group();
      const members = [await join({ group, topic })];
      const shares = () => members.map(({ subscription }) => [...(subscription.positions()[topic]?.keys() ?? [])]);
      const settled = (sizes: number[]) =>
        eventually(() => ({ sizes: shares().map(({ length }) => length), all: sorted(shares().flat()) })).toEqual({
          sizes,
          all: upTo(6, 0),
        });
      await settled([6]);
      members.push(await join({ group, topic }));
      await settled([3, 3]);
      members.push(await join({ group, topic }));
      await settled([2, 2, 2]);
      await members.shift()?.bus.close();
      await settled([3, 3]);
      await members.shift()?.bus.close();
      await settled([6]);
    });

    // Broken by: a close that drops what is under way or does not wait for it, a position that is not kept at the end.
    it('drains at its close, and redelivers nothing', async () => {
      const topic = await bench.topic();
      const group = bench.group();
      await bench.bus.publish(numbered(topic, 30));
      let release: () => void = () => undefined;
      const released = new Promise<void>((resolve) => (release = resolve));
      const first = await join(
        { group, topic },
        new Recorder((messages) => (messages.some((m) => sequenceOf(m) === 5) ? released : undefined)),
      );
      await eventually(() => first.recorder.begun.length).toBeGreaterThan(4);
      let isClosed = false;
      const closing = first.bus.close().then(() => (isClosed = true));
      await bench.bus.publish(numbered(topic, 10, ['key'], 31));
      expect(isClosed).toBe(false);
      release();
      await closing;
      expect(first.recorder.running).toBe(0);
      const second = await join({ group, topic });
      await eventually(() => [...first.recorder.sequences, ...second.recorder.sequences]).toEqual(upTo(40));
      await eventually(() => lagOf(group)).toBe(0);
    });

    // Broken by: a position that runs ahead of what is done, an end that is not the topic's.
    it('tells how far a group is behind', async () => {
      const topic = await bench.topic(3);
      const group = bench.group();
      const { subscription, recorder } = await join({ group, topic });
      await bench.bus.publish(numbered(topic, 24, keys));
      await eventually(() => recorder.done.length).toBe(24);
      await eventually(() => lagOf(group)).toBe(0);
      subscription.pause();
      await bench.bus.publish(numbered(topic, 36, keys, 25));
      await eventually(() => lagOf(group)).toBe(36);
      const ends = await bench.bus.offsets(topic);
      const lags = await bench.bus.lag(group);
      expect(ends.map(({ start }) => start)).toEqual([0, 0, 0]);
      expect(lags.map(({ topic: on, partition, position, lag }) => [on, partition, position + lag])).toEqual(
        ends.map(({ partition, end }) => [topic, partition, end]),
      );
      expect(subscription.positions()).toEqual({ [topic]: new Map(lags.map(({ partition, position }) => [partition, position])) });
      expect(await bench.bus.lag(bench.group())).toEqual([]);
      expect(await bench.bus.offsets(`${topic}.absent`)).toEqual([]);
    });

    // Broken by: a seek beside a member who then keeps its own position over it, partitions that are moved and were not named.
    it('moves a group that nobody is in, and no other', async () => {
      const topic = await bench.topic(2);
      const group = bench.group();
      await bench.bus.publish(numbered(topic, 24, keys));
      const first = await join({ group, topic });
      await eventually(() => first.recorder.done.length).toBe(24);
      await expect(bench.bus.seek(group, topic, 'earliest')).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(bench.bus.seek(group, `${topic}.absent`, 'earliest')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await first.bus.close();
      const offsets = first.recorder.done.filter(({ partition }) => partition === 1).map(({ offset }) => offset);
      const middle = offsets[Math.floor(offsets.length / 2)]!;
      await bench.bus.seek(group, topic, new Map([[1, middle]]));
      const second = await join({ group, topic });
      await eventually(() => second.recorder.done.map(({ partition, offset }) => [partition, offset])).toEqual(
        offsets.filter((offset) => offset >= middle).map((offset) => [1, offset]),
      );
      await second.bus.close();
      await bench.bus.seek(group, topic, 'latest');
      expect(await lagOf(group)).toBe(0);
      const fresh = bench.group();
      await bench.bus.seek(fresh, topic, 'latest');
      const third = await join({ group: fresh, topic });
      await bench.bus.publish(numbered(topic, 1, ['end'], 100));
      await eventually(() => third.recorder.sequences).toEqual([100]);
    });

    // Broken by: a replay in another order within a key, one that leaves something out, a generation that moves the group's own position.
    it('replays: from the start, and as a generation of its own, to the same projection', async () => {
      const topic = await bench.topic(3);
      const group = bench.group();
      await bench.bus.publish(numbered(topic, 120, keys));
      const project = (recorder: Recorder) => {
        const projection = new Map<string, string>();
        for (const message of recorder.done) projection.set(message.key, `${projection.get(message.key) ?? ''} ${sequenceOf(message)}`);
        return Object.fromEntries([...projection].sort());
      };
      const first = await join({ group, topic });
      await eventually(() => first.recorder.done.length).toBe(120);
      await first.bus.close();
      await bench.bus.seek(group, topic, 'earliest');
      const second = await join({ group, topic });
      const third = await join({ group, topic, generation: 1 });
      for (const { recorder } of [second, third]) {
        await eventually(() => recorder.done.length).toBe(120);
        expect(project(recorder)).toEqual(project(first.recorder));
      }
      await eventually(() => Promise.all([lagOf(group), lagOf(positionsName(group, 1))])).toEqual([0, 0]);
    });

    // Broken by: a partition for one process alone, a beginning that is later than the call resolves, a message that holds up those behind it.
    it('broadcasts to every process, from the end or from the start', async () => {
      const topic = await bench.topic(3);
      await bench.bus.publish(numbered(topic, 12, keys));
      const failing = new Recorder((messages) =>
        messages.some((m) => sequenceOf(m) === 14) ? Promise.reject(new Error('not this one')) : undefined,
      );
      const listen = async (recorder: Recorder, from?: 'earliest') => {
        const bus = await bench.harness.connect();
        await bus.broadcast({ topics: [topic], handle: recorder.handle, retryMs: 1, attemptsMax: 2, ...(from && { from }) });
        return recorder;
      };
      const late = await Promise.all([listen(new Recorder()), listen(new Recorder()), listen(failing)]);
      const early = await listen(new Recorder(), 'earliest');
      await bench.bus.publish(numbered(topic, 12, keys, 13));
      await eventually(() => late.map(({ sequences }) => sorted(sequences))).toEqual([
        upTo(12, 13),
        upTo(12, 13),
        upTo(12, 13).filter((sequence) => sequence !== 14),
      ]);
      await eventually(() => sorted(early.sequences)).toEqual(upTo(24));
      expect(await bench.lettersOf(topic)).toEqual([]);
    });

    // Broken by: one topic that waits for another, a topic that must be there.
    it('consumes several topics at once, and those that come after it', async () => {
      const topics = [await bench.topic(2), `contract.${bench.group()}`, `contract.${bench.group()}`];
      const recorder = new Recorder();
      const bus = await bench.harness.connect();
      await bus.subscribe({ group: bench.group(), topics, handle: recorder.handle });
      await Promise.all(topics.map((topic, i) => bench.bus.publish(numbered(topic, 10, keys, 10 * i))));
      await eventually(() => sorted(recorder.sequences)).toEqual(upTo(30, 0));
    });

    // Broken by: limits that are heeded late, when a group is there already.
    it('refuses what cannot be, by name, and everything after its close', async () => {
      const topic = await bench.topic();
      const bus = await bench.harness.connect();
      const good = { group: bench.group(), topics: [topic], handle: () => Promise.resolve() };
      const bad: object[] = [
        { group: '' },
        { group: 'a b' },
        { group: 'a#1' },
        { group: 'g'.repeat(201) },
        { topics: [] },
        { topics: ['a b'] },
      ];
      for (const [name, max] of [
        ['batchSize', 10_000],
        ['concurrency', 1_000],
        ['attemptsMax', 100],
        ['retryMs', 60_000],
      ] as const)
        // prettier-ignore
        bad.push({ [name]: 0 }, { [name]: max + 1 }, { [name]: 1.5 });
      for (const options of bad) await expect(bus.subscribe({ ...good, ...options })).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
      expect(await bench.bus.lag(good.group)).toEqual([]);
      await bus.close();
      await bus.close();
      const closed = { code: 'SERVICE_UNAVAILABLE' };
      await expect(bus.subscribe(good)).rejects.toMatchObject(closed);
      await expect(bus.broadcast(good)).rejects.toMatchObject(closed);
      await expect(bus.publish(numbered(topic, 1))).rejects.toMatchObject(closed);
    });
  });
};
