import { DomainError } from '@pca/errors';
import { describe, expect, it } from 'vitest';
import { deadLettered, handled, skipped } from '../../src/index.js';
import type { BusAdapter } from '../harness/bus-harness.js';
import { Recorder } from '../harness/recorder.js';
import { messageOf, sequenceOf } from '../messages.js';
import { contractBench, eventually, numbered, sorted, upTo } from './contract-bench.js';

/** What becomes of a message between its handler and its group's position. */
export const deliveryContract = (adapter: BusAdapter): void => {
  describe(`delivery on ${adapter.name}`, () => {
    const bench = contractBench(adapter.shared);

    // Broken by: outcomes taken at the wrong place, a skipped message among the dead letters, a letter without what a redrive needs.
    it('does with each message what its outcome says, and reports it', async () => {
      const topic = await bench.topic();
      const group = bench.group();
      const reports: unknown[] = [];
      const bus = await bench.harness.connect({
        observer: {
          delivered: (...[of, on, outcome, messages]) => reports.push([of, on, outcome, messages]),
          deadLettered: (...report) => reports.push(report),
        },
      });
      const messages = numbered(topic, 4, ['odd', 'even']);
      const outcomes = [handled, skipped('nobody asked'), deadLettered('no use'), handled];
      await bus.publish(messages);
      const recorder = new Recorder((batch) => Promise.resolve(batch.map((message) => outcomes[sequenceOf(message) - 1]!)));
      await bus.subscribe({ group, topics: [topic], concurrency: 1, handle: recorder.handle });
      await eventually(() => recorder.done.length).toBe(4);
      await eventually(async () => (await bus.lag(group)).map(({ lag }) => lag)).toEqual([0]);
      expect(recorder.done.map(({ topic: on, key, envelope }) => ({ topic: on, key, envelope }))).toEqual(messages);
      const third = messages[2]!;
      expect(await bench.lettersOf(topic)).toEqual([
        {
          topic,
          partition: 0,
          offset: recorder.done[2]!.offset,
          key: 'odd',
          consumerGroup: group,
          reason: 'no use',
          attempts: 1,
          value: JSON.stringify(third.envelope),
          truncated: false,
          isMessage: true,
        },
      ]);
      expect(reports).toContainEqual([group, topic, 'no use']);
      for (const [is, count] of [
        ['handled', 2],
        ['skipped', 1],
        ['deadLettered', 1],
      ] as const)
        // prettier-ignore
        expect(reports).toContainEqual([group, topic, is, count]);
    });

    // Broken by: a missing outcome taken for "handled".
    it('takes answers that do not fit the messages for a failure', async () => {
      const topic = await bench.topic();
      await bench.bus.publish(numbered(topic, 3));
      const recorder = new Recorder(() => Promise.resolve([handled]));
      await bench.bus.subscribe({ group: bench.group(), topics: [topic], retryMs: 1, handle: recorder.handle });
      // Alone, the one answer fits.
      await eventually(() => recorder.sizes.filter((size) => size === 1).length).toBe(3);
      expect(sorted(recorder.done.filter(({ attempt }) => attempt > 1).map(sequenceOf))).toEqual([1, 2, 3]);
      expect(await bench.lettersOf(topic)).toEqual([]);
    });

    // Broken by: a dead letter for the whole batch, a failure that others wait behind for ever, others that are handled again and again, the
    // order lost in the parts.
    it.for([
      { attemptsMax: 1, batchSize: 40 },
      { attemptsMax: 3, batchSize: 40 },
      { attemptsMax: 5, batchSize: 1_000 },
    ])('finds the one that cannot be handled: $attemptsMax attempts, batches of $batchSize', async ({ attemptsMax, batchSize }) => {
      const topic = await bench.topic();
      const group = bench.group();
      await bench.bus.publish(numbered(topic, 120, ['a', 'b', 'c']));
      const recorder = new Recorder(async (messages) => {
        if (messages.some((message) => sequenceOf(message) === 50)) throw new Error('not this one');
      });
      await bench.bus.subscribe({ group, topics: [topic], attemptsMax, batchSize, retryMs: 1, handle: recorder.handle });
      await eventually(() => recorder.done.length).toBe(119);
      expect(sorted(recorder.sequences)).toEqual(upTo(120).filter((sequence) => sequence !== 50));
      expect({ repeats: recorder.repeats, inversions: recorder.inversions, overlaps: recorder.overlaps }).toEqual({
        repeats: 0,
        inversions: 0,
        overlaps: 0,
      });
      const letters = await bench.lettersOf(topic);
      // A batch that fails at its only attempt is tried once more in parts, to find out which message it was.
      const attempts = Math.max(2, attemptsMax);
      expect(letters).toMatchObject([{ key: 'b', consumerGroup: group, reason: 'Error: not this one', attempts, isMessage: true }]);
      expect(Math.max(...recorder.begun.map(({ attempt }) => attempt))).toBe(attempts);
      await eventually(async () => (await bench.bus.lag(group)).map(({ lag }) => lag)).toEqual([0]);
    });

    // Broken by: an outage that is counted as an attempt.
    it('waits for what a handler needs for as long as it takes', async () => {
      const topic = await bench.topic();
      let outages = 6;
      const retries: number[] = [];
      const bus = await bench.harness.connect({ observer: { retrying: ({ attempt }) => retries.push(attempt) } });
      await bus.publish(numbered(topic, 20, ['a', 'b']));
      const recorder = new Recorder(async () => {
        if (outages-- > 0) throw new DomainError('SERVICE_UNAVAILABLE', 'the database is away');
      });
      await bus.subscribe({ group: bench.group(), topics: [topic], attemptsMax: 2, retryMs: 1, handle: recorder.handle });
      await eventually(() => recorder.done.length).toBe(20);
      expect(recorder.inversions + recorder.repeats).toBe(0);
      expect(new Set(retries)).toEqual(new Set([1]));
      expect(await bench.lettersOf(topic)).toEqual([]);
    });

    // Broken by: lanes that part a key, a bound per partition, one call after the other.
    it.for([
      { partitions: 1, concurrency: 4 },
      { partitions: 8, concurrency: 3 },
    ])('handles keys side by side within the bound, and no key twice at once: $partitions', async ({ partitions, concurrency }) => {
      const topic = await bench.topic(partitions);
      const keys = upTo(40).map((key) => `key ${key}`);
      await bench.bus.publish(numbered(topic, 400, keys));
      let meet: () => void = () => undefined;
      const met = new Promise<void>((resolve) => (meet = resolve));
      const recorder = new Recorder(async () => {
        if (recorder.running === concurrency) meet();
        // Everybody waits until as many as may be are there.
        await met;
      });
      const options = { group: bench.group(), topics: [topic], concurrency, batchSize: 50, handle: recorder.handle };
      await bench.bus.subscribe(options);
      await eventually(() => recorder.done.length).toBe(400);
      expect({ ...recorder, repeats: recorder.repeats, inversions: recorder.inversions }).toMatchObject({
        runningMax: concurrency,
        overlaps: 0,
        repeats: 0,
        inversions: 0,
      });
      expect(Math.max(...recorder.sizes)).toBeLessThanOrEqual(50);
    });

    // Broken by: a linger that delays the first of them, that fetches one by one all the same, that a full batch or a close waits for.
    it('lingers, so that what comes one by one is handled together', async () => {
      const topic = await bench.topic();
      const group = bench.group();
      const recorder = new Recorder();
      const options = { group, topics: [topic], batchSize: 20, lingerMs: 2_000, handle: recorder.handle };
      const subscription = await bench.bus.subscribe(options);
      const began = performance.now();
      await bench.bus.publish(numbered(topic, 1));
      await eventually(() => recorder.done.length).toBe(1);
      for (let n = 2; n <= 11; n += 1) await bench.bus.publish(numbered(topic, 1, ['key'], n));
      // A slow machine has used up the linger by now, and more than one batch may be.
      const isSlow = performance.now() - began > 1_500;
      await eventually(() => recorder.done.length).toBe(11);
      expect(recorder.sequences).toEqual(upTo(11));
      if (!isSlow) expect(recorder.sizes).toEqual([1, 10]);
      // Ends at once: the linger is nothing that must be finished.
      await subscription.close();
      expect((await bench.bus.lag(group)).map(({ lag }) => lag)).toEqual([0]);
    });

    // Broken by: a pause that gives the partitions away or lets begin what was fetched already, a delay that stays.
    it('pauses, goes on, and comes late, as it is told', async () => {
      const topic = await bench.topic(2);
      const group = bench.group();
      const recorder = new Recorder();
      const subscription = await bench.bus.subscribe({ group, topics: [topic], batchSize: 1, handle: recorder.handle });
      await bench.bus.publish(numbered(topic, 4, ['a', 'b', 'c', 'd']));
      await eventually(() => recorder.done.length).toBe(4);
      subscription.pause();
      await bench.bus.publish(numbered(topic, 4, ['a', 'b', 'c', 'd'], 5));
      const lag = async () => (await bench.bus.lag(group)).reduce((sum, partition) => sum + partition.lag, 0);
      await eventually(lag).toBe(4);
      expect(recorder.begun.length).toBe(4);
      expect(subscription.positions()[topic]?.size).toBe(2);
      subscription.delay(300);
      const resumed = performance.now();
      subscription.resume();
      await eventually(() => recorder.begun.length).toBeGreaterThan(4);
      expect(performance.now() - resumed).toBeGreaterThan(250);
      subscription.delay(0);
      await eventually(() => recorder.done.length).toBe(8);
      await eventually(lag).toBe(0);
    });

    // Broken by: a parser that stops the partition, bytes that vanish, a letter that no bus takes.
    it('makes dead letters of what is no message, whatever it is, and goes on behind it', async () => {
      const topic = await bench.topic();
      await bench.bus.publish([messageOf(topic, 'key', 1)]);
      const junk = ['no json', '', 'null', '[]', '{}', '{"key":"k","envelope":{"id":1}}', '"\\u0000"', '\ufffd', 'x'.repeat(5_000_000)];
      for (const text of junk) await bench.harness.appendRaw(topic, Buffer.from(text));
      await bench.harness.appendRaw(topic, Buffer.from([0xff, 0x00, 0xfe]));
      await bench.bus.publish([messageOf(topic, 'key', 2)]);
      const recorder = new Recorder();
      await bench.bus.subscribe({ group: bench.group(), topics: [topic], handle: recorder.handle });
      await eventually(() => recorder.sequences).toEqual([1, 2]);
      const letters = (await bench.lettersOf(topic)).toSorted((one, other) => Number(one.offset) - Number(other.offset));
      expect(letters.map(({ value }) => value)).toEqual([...junk.slice(0, -1), 'x'.repeat(64 * 1024), '\ufffd\u0000\ufffd']);
      expect(letters.map(({ truncated }) => truncated)).toEqual(upTo(10).map((n) => n === 9));
      for (const letter of letters) expect(letter).toMatchObject({ attempts: 0, isMessage: false, reason: expect.stringMatching(/./) });
    });

    // Broken by: a fetch that is smaller than a message and never gets past it, a letter that is too large for its topic.
    it('refuses a message of 5 MB at the door, and delivers or buries one that came in by another', async () => {
      const topic = await bench.topic();
      const group = bench.group();
      const large = (sequence: number) => {
        const message = messageOf(topic, 'key', sequence);
        return { ...message, envelope: { ...message.envelope, payload: { sequence, text: 'ä"'.repeat(1_700_000) } } };
      };
      await expect(bench.bus.publish([large(1)])).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
      for (const sequence of [1, 2]) await bench.harness.appendRaw(topic, bench.harness.bytesOf(large(sequence)));
      await bench.bus.publish([messageOf(topic, 'key', 3)]);
      const recorder = new Recorder((messages) =>
        Promise.resolve(messages.map((message) => (sequenceOf(message) === 2 ? deadLettered('too much') : handled))),
      );
      await bench.bus.subscribe({ group, topics: [topic], handle: recorder.handle });
      await eventually(() => recorder.sequences).toEqual([1, 2, 3]);
      expect((recorder.done[0]!.envelope.payload as { text: string }).text).toHaveLength(3_400_000);
      await eventually(() => bench.lettersOf(topic)).toMatchObject([{ reason: 'too much', truncated: true, isMessage: false }]);
    });

    // Broken by: a bus that knows types, and drops or buries what it does not know.
    it('carries types and versions that nobody here knows', async () => {
      const topic = await bench.topic();
      const message = messageOf(topic, 'key', 1);
      const strange = [
        { ...message, envelope: { ...message.envelope, type: 'nobody.knows.v9', version: 99, payload: [null] } },
        { ...message, envelope: { id: 'no uuid', type: '', more: { than: 'there is' } } as never },
      ];
      for (const one of strange) await bench.harness.appendRaw(topic, bench.harness.bytesOf(one));
      const outcomes: string[] = [];
      const bus = await bench.harness.connect({ observer: { delivered: (...[, , outcome]) => outcomes.push(outcome) } });
      const recorder = new Recorder((messages) => Promise.resolve(messages.map(() => skipped('a type that is not mine'))));
      await bus.subscribe({ group: bench.group(), topics: [topic], batchSize: 1, handle: recorder.handle });
      await eventually(() => outcomes).toEqual(['skipped', 'skipped']);
      expect(recorder.done.map(({ envelope }) => envelope)).toEqual(strange.map(({ envelope }) => envelope));
      expect(await bench.lettersOf(topic)).toEqual([]);
    });

    // Broken by: a redriven message that everybody gets, or that holds the others' positions.
    it('hands a message that is for one group to that group alone', async () => {
      const topic = await bench.topic();
      const [mine, other] = [bench.group(), bench.group()];
      await bench.bus.publish([
        messageOf(topic, 'key', 1),
        { ...messageOf(topic, 'key', 2), consumerGroup: mine },
        { ...messageOf(topic, 'key', 3), consumerGroup: other },
      ]);
      const recorders = [new Recorder(), new Recorder(), new Recorder()] as const;
      await bench.bus.subscribe({ group: mine, topics: [topic], handle: recorders[0].handle });
      await bench.bus.subscribe({ group: other, topics: [topic], batchSize: 1, handle: recorders[1].handle });
      await bench.bus.broadcast({ topics: [topic], from: 'earliest', handle: recorders[2].handle });
      for (const group of [mine, other]) await eventually(async () => (await bench.bus.lag(group)).map(({ lag }) => lag)).toEqual([0]);
      await eventually(() => recorders.map(({ sequences }) => sequences)).toEqual([[1, 2], [1, 3], [1]]);
    });
  });
};
