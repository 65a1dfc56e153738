import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { deadLettered } from '../../src/index.js';
import type { BusAdapter } from '../harness/bus-harness.js';
import { inversionsIn, Recorder } from '../harness/recorder.js';
import { messageOf, sequenceOf } from '../messages.js';
import { readAll } from '../read-all.js';
import type { LinkMode } from '../tcp-proxy.js';
import { contractBench, eventually, numbered, sorted, upTo } from './contract-bench.js';

const unavailable = { code: 'SERVICE_UNAVAILABLE' };
const queryMsMax = 800;
const rounds = Math.ceil(Number(process.env['KILL_ROUNDS'] ?? 4) / 4);
/** Answers that come when nobody waits for them any more, by halves, never, and a door that is shut. */
const troubles: readonly LinkMode[] = ['late', 'half', 'silent', 'refuse'];

/** Asks until there is an answer: on a busy machine a limit as short as here may pass while nothing is wrong with the link. */
const answered = async <T>(ask: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      expect(error).toMatchObject(unavailable);
    }
  }
};

/** A bus that answers late, half, or never. */
export const linkContract = (adapter: BusAdapter): void => {
  describe(`the bus on ${adapter.name} over a bad link`, () => {
    const bench = contractBench(adapter.private);
    const trouble = (mode: LinkMode) => bench.harness.link.mode(mode, 2 * queryMsMax);
    const recover = () => bench.harness.link.mode('pass');
    afterEach(recover);

    // Broken by: a limit that is shorter than what is usual on a long way, order that depends on quick answers.
    it('works over a slow one', async () => {
      const topic = await bench.topic(2);
      const keys = ['a', 'b', 'c'];
      bench.harness.link.mode('late', 30);
      const bus = await bench.harness.connect({ overLink: true });
      const recorder = new Recorder();
      await bus.subscribe({ group: bench.group(), topics: [topic], handle: recorder.handle });
      await Promise.all(upTo(5, 0).map((call) => bus.publish(numbered(topic, 30, keys, 1 + 30 * call))));
      await eventually(() => sorted(recorder.sequences)).toEqual(upTo(150));
      expect([recorder.inversions, recorder.repeats]).toEqual([0, 0]);
      await bus.close();
    });

    // Broken by: a call that waits for ever, an acknowledgement that nobody gave, a client that goes on trying behind a caller who was told
    // no and lets later calls pass, a connection that is used on after half an answer.
    it.for(troubles)('settles every call while answers are %s, and loses and inverts nothing that is published again', async (mode) => {
      const topic = await bench.topic();
      const bus = await answered(() => bench.harness.connect({ overLink: true, queryMsMax }));
      const acknowledged: string[] = [];
      const publish = async (sequence: number, times: number): Promise<boolean> => {
        const message = messageOf(topic, 'key', sequence);
        for (let tries = 0; tries < times; tries += 1) {
          const isStored = await bus.publish([message]).then(
            () => true,
            (error: unknown) => {
              expect(error).toMatchObject(unavailable);
              return false;
            },
          );
          if (isStored) acknowledged.push(message.envelope.id);
          if (isStored) return true;
        }
        return false;
      };
      expect(await publish(1, 20)).toBe(true);
      trouble(mode);
      // What waits behind a call that fails must not be stored before it is published again.
      const behind = [publish(2, 1), publish(3, 1)];
      expect(await Promise.all(behind)).toEqual([false, false]);
      const handle = () => Promise.resolve();
      const questions = [
        bus.offsets(topic),
        bus.lag('nobody'),
        bus.seek('nobody', topic, 'earliest'),
        bus.subscribe({ group: bench.group(), topics: [topic], handle }),
        bus.broadcast({ topics: [topic], handle }),
        bench.harness.connect({ overLink: true, queryMsMax }),
      ];
      await Promise.all(questions.map((question) => expect(question).rejects.toMatchObject(unavailable)));
      recover();
      for (const sequence of [2, 3, 4]) expect(await publish(sequence, 20)).toBe(true);
      // What was under way for those who had given up may still arrive.
      await sleep(2.5 * queryMsMax);
      expect(await publish(5, 20)).toBe(true);
      const stored = (await readAll(bench.bus, topic)).flat();
      const ids = new Set(stored.map(({ envelope }) => envelope.id));
      expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
      expect(new Set(stored.map(sequenceOf))).toEqual(new Set(upTo(5)));
      const lastOf = (sequence: number) => stored.findLastIndex((message) => sequenceOf(message) === sequence);
      expect(upTo(4).every((sequence) => stored.findIndex((message) => sequenceOf(message) === sequence) < lastOf(sequence + 1))).toBe(
        true,
      );
      await bus.close();
    });

    // Broken by: a subscription that ends with its connection, a member that thinks it still has what others have by now, a broadcast that
    // begins anew at the end.
    it('goes on consuming after each kind of trouble', { timeout: 120_000 * rounds }, async () => {
      const topic = await bench.topic(2);
      const lost: Error[] = [];
      const observer = { connectionLost: (error: Error) => lost.push(error) };
      const bus = await answered(() => bench.harness.connect({ overLink: true, queryMsMax, silentMsMax: 1_500, observer }));
      const [member, listener] = [new Recorder(), new Recorder()];
      const group = bench.group();
      await answered(() => bus.subscribe({ group, topics: [topic], handle: member.handle }));
      await answered(() => bus.broadcast({ topics: [topic], handle: listener.handle }));
      let next = 1;
      const publish = async () => {
        await bench.bus.publish(numbered(topic, 6, ['a', 'b', 'c'], next));
        next += 6;
      };
      const everything = () =>
        eventually(() => [member, listener].map(({ sequences }) => sorted([...new Set(sequences)]))).toEqual(
          [member, listener].map(() => upTo(next - 1)),
        );
      await publish();
      await everything();
      for (const mode of Array.from({ length: rounds }, () => troubles).flat()) {
        trouble(mode);
        lost.length = 0;
        await publish();
        // Time in which it may be felt: a bus that only gets slower is as good.
        for (let waits = 0; waits < 60 && lost.length === 0; waits += 1) await sleep(50);
        await publish();
        recover();
        await publish();
        await everything();
      }
      process.stdout.write(`${adapter.name}: ${rounds * troubles.length} troubles, ${next - 1} published, ${member.repeats} repeats\n`);
      expect([member, listener].map(({ done }) => inversionsIn(done))).toEqual([0, 0]);
      await bus.close();
    });

    // Broken by: a position that moves over a message whose dead letter nobody has.
    it('keeps a message until its dead letter is published, while the bus is away', async () => {
      const topic = await bench.topic();
      const group = bench.group();
      const retries: unknown[] = [];
      const observer = { retrying: (_: unknown, error: unknown) => retries.push(error) };
      const bus = await answered(() => bench.harness.connect({ overLink: true, queryMsMax, silentMsMax: 1_500, observer }));
      await bench.bus.publish(numbered(topic, 3));
      const recorder = new Recorder((messages) => {
        const isBad = messages.some((message) => sequenceOf(message) === 2);
        if (isBad && retries.length === 0) trouble('refuse');
        return Promise.resolve(messages.map((message) => (sequenceOf(message) === 2 ? deadLettered('no use') : { is: 'handled' })));
      });
      await answered(() => bus.subscribe({ group, topics: [topic], retryMs: 20, handle: recorder.handle }));
      await eventually(() => retries.length).toBeGreaterThan(0);
      const { position } = (await bench.bus.lag(group))[0]!;
      expect(position).toBeLessThanOrEqual(recorder.begun.find((message) => sequenceOf(message) === 2)!.offset);
      expect(await bench.lettersOf(topic)).toEqual([]);
      recover();
      await eventually(async () => (await bench.bus.lag(group)).map(({ lag }) => lag)).toEqual([0]);
      const letters = await bench.lettersOf(topic);
      expect(letters.length).toBeGreaterThan(0);
      for (const letter of letters) expect(letter).toMatchObject({ reason: 'no use', consumerGroup: group });
      expect(new Set(recorder.sequences)).toEqual(new Set([1, 2, 3]));
      await bus.close();
    });

    // Broken by: a close that waits for an answer that never comes.
    it.for(troubles)('closes while answers are %s', async (mode) => {
      const topic = await bench.topic();
      const bus = await answered(() => bench.harness.connect({ overLink: true, queryMsMax, silentMsMax: 1_500 }));
      const [member, listener] = [new Recorder(), new Recorder()];
      const group = bench.group();
      await answered(() => bus.subscribe({ group, topics: [topic], handle: member.handle }));
      await answered(() => bus.broadcast({ topics: [topic], handle: listener.handle }));
      await answered(() => bus.publish(numbered(topic, 1)));
      await eventually(() => [member, listener].map(({ done }) => done.length > 0)).toEqual([true, true]);
      trouble(mode);
      const call = expect(bus.publish(numbered(topic, 1))).rejects.toMatchObject(unavailable);
      await bus.close();
      await call;
    });
  });
};
