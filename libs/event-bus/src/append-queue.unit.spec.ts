import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { randomFrom } from '../test/random.js';
import { AppendQueue, type AppendQueueLimits } from './append-queue.js';

const limits: AppendQueueLimits = { batchMessagesMax: 10, batchBytesMax: 100, queueMessagesMax: 40, queueBytesMax: 400 };

/** An append that can be let through, or failed, one at a time. */
const gate = () => {
  const batches: number[][] = [];
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const queue = new AppendQueue<number>((items) => {
    batches.push([...items]);
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  }, limits);
  const step = async (error?: Error) => {
    const { resolve, reject } = waiting.shift()!;
    if (error) reject(error);
    else resolve();
    await sleep(0);
  };
  return { queue, batches, step };
};

it('makes one append of what arrives while another is under way', async () => {
  const { queue, batches, step } = gate();
  const calls = [queue.push([1], 1), queue.push([2, 3], 2), queue.push([4], 1)];
  expect(batches).toEqual([[1]]);
  await step();
  expect(batches).toEqual([[1], [2, 3, 4]]);
  await step();
  await Promise.all(calls);
});

// Broken by: noticing that the queue is empty and saying so later.
it('appends a call that comes in any number of ticks after the last one ended', async () => {
  for (let ticks = 0; ticks < 8; ticks += 1) {
    const queue = new AppendQueue<number>(() => Promise.resolve(), limits);
    let ended = queue.push([1], 1);
    for (let tick = 0; tick < ticks; tick += 1) ended = ended.then(() => undefined);
    const appended = ended.then(() => queue.push([2], 1)).then(() => 'appended');
    expect(await Promise.race([appended, sleep(1000, `forgotten after ${ticks} ticks`)])).toBe('appended');
  }
});

it('fails what waits behind a failure, and works again afterwards', async () => {
  const { queue, batches, step } = gate();
  const settled = Promise.allSettled([queue.push([1], 1), queue.push([2], 1), queue.push([3], 1)]);
  await step(new Error('down'));
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(batches).toEqual([[1]]);
  const again = queue.push([4], 1);
  await step();
  await again;
  expect(batches).toEqual([[1], [4]]);
});

it('refuses a call that fits no append and a call over what may wait, and keeps neither', async () => {
  const { queue, batches, step } = gate();
  await expect(
    queue.push(
      Array.from({ length: 11 }, () => 1),
      11,
    ),
  ).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  await expect(queue.push([1], 101)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  const waiting = Array.from({ length: 4 }, (_, i) => queue.push([i], 100));
  await expect(queue.push([9], 1)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  await step();
  const admitted = queue.push([9], 1);
  for (let i = 0; i < 4; i += 1) await step();
  await Promise.all([...waiting, admitted]);
  expect(batches).toEqual([[0], [1], [2], [3], [9]]);
  const byCount = Array.from({ length: 40 }, () => queue.push([7], 0));
  await expect(queue.push([8], 0)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  for (let i = 0; i < 5; i += 1) await step();
  await Promise.all(byCount);
});

it('keeps order and bounds, settles every call with its own append, and drains, whatever the interleaving', async () => {
  const random = randomFrom('append queue');
  const appended: number[] = [];
  let running = 0;
  const queue = new AppendQueue<number>(async (items) => {
    running += 1;
    expect(running).toBe(1);
    expect(items.length).toBeLessThanOrEqual(limits.batchMessagesMax);
    const fails = random.chance(0.1);
    await (random.chance(0.5) ? sleep(0) : undefined);
    running -= 1;
    if (fails) throw new Error('down');
    appended.push(...items);
  }, limits);
  const stored: number[] = [];
  let next = 0;
  const caller = async () => {
    for (let call = 0; call < 150; call += 1) {
      const items = Array.from({ length: 1 + random.below(4) }, () => next++);
      await queue.push(items, items.length).then(
        () => stored.push(...items),
        () => expect(appended).not.toContain(items[0]),
      );
      if (random.chance(0.2)) await sleep(0);
    }
  };
  await Promise.all(Array.from({ length: 6 }, caller));
  await queue.drain();
  expect(appended, `seed ${random.seed}`).toEqual([...appended].sort((a, b) => a - b));
  expect(appended).toEqual([...stored].sort((a, b) => a - b));
  expect(appended.length).toBeGreaterThan(100);
});
