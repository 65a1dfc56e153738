import { requiresKafka } from '@pca/testing';
import { v7 as uuidv7 } from 'uuid';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BusAdapter } from './harness/bus-harness.js';
import { kafkaAdapter } from './harness/kafka-adapter.js';
import { postgresAdapter } from './harness/postgres-adapter.js';
import { Recorder } from './harness/recorder.js';
import { messageOf, sequenceOf } from './messages.js';

const hourMs = 3_600_000;
const waiting = { timeout: 60_000 };
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  clearInterval(ticking);
  vi.useRealTimers();
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

let ticking: NodeJS.Timeout | undefined;
/** The clock of the process goes on from another time; timers and what is measured stay as they are. */
const jump = (ms: number): void => {
  const to = Date.now() + ms;
  const started = performance.now();
  clearInterval(ticking);
  vi.useFakeTimers({ toFake: ['Date'], now: to });
  ticking = setInterval(() => vi.setSystemTime(to + performance.now() - started), 1);
};

const clockJumps = (adapter: BusAdapter): void => {
  describe(`clocks that jump on ${adapter.name}`, () => {
    // Broken by: leases, back-off, heartbeats or retention that go by the clock of a client.
    it.each([
      ['ahead', 1.5 * hourMs],
      ['behind', -1.5 * hourMs],
      ['a month ahead', 30 * 24 * hourMs],
      ['a month behind', -30 * 24 * hourMs],
    ])('publishes, consumes, retries and balances in a process whose clock jumps %s', async (_, ms) => {
      const harness = await adapter.shared();
      cleanUps.push(() => harness.close());
      const topic = `jumped.${uuidv7()}`;
      const group = `group-${uuidv7()}`;
      const bus = await harness.connect({ topics: { [topic]: { partitions: 4 } } });
      let failures = 0;
      const recorder = new Recorder((messages) => {
        if (failures > 0 && messages.some((message) => sequenceOf(message) % 10 === 0)) {
          failures -= 1;
          throw new Error('not yet');
        }
      });
      const join = async () => (await harness.connect()).subscribe({ group, topics: [topic], handle: recorder.handle, retryMs: 5 });
      const publish = (from: number) => bus.publish(Array.from({ length: 40 }, (_, i) => messageOf(topic, `key ${i % 16}`, from + i)));
      const first = await join();
      await publish(0);
      await expect.poll(() => recorder.done.length, waiting).toBe(40);
      jump(ms);
      failures = 3;
      await publish(40);
      await expect.poll(() => recorder.done.length, waiting).toBe(80);
      expect(failures).toBe(0);
      const second = await join();
      const shares = () => [first, second].map((member) => member.positions()[topic]?.size);
      await expect.poll(shares, waiting).toEqual([2, 2]);
      await publish(80);
      await expect.poll(() => recorder.done.length, waiting).toBe(120);
      jump(-2 * ms);
      await publish(120);
      await expect.poll(() => recorder.done.length, waiting).toBe(160);
      await first.close();
      await expect.poll(() => second.positions()[topic]?.size, waiting).toBe(4);
      await publish(160);
      await expect.poll(() => recorder.done.length, waiting).toBe(200);
      await expect.poll(async () => (await bus.lag(group)).reduce((sum, { lag }) => sum + lag, 0), waiting).toBe(0);
      expect([recorder.repeats, recorder.inversions, recorder.overlaps]).toEqual([0, 0, 0]);
    });
  });
};

clockJumps(postgresAdapter);
if (await requiresKafka()) clockJumps(kafkaAdapter);
