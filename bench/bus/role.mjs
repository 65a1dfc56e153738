// One side of a system, writer or consumer, in a process of its own. Its parent drives it in legs: so many events from a position on, as
// fast as they go or one every so many milliseconds.
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../lib/measure.mjs';
import { checkedMessage, nowMs, plainMessage } from './events.mjs';

const [, , side, file, placeText] = process.argv;
const place = JSON.parse(placeText);
const system = await import(file);
const makeMessage = place.checked ? checkedMessage : plainMessage;

const startWriter = async () => {
  const writer = await system.openWriter(place);
  const makeBatch = (from, to) => Array.from({ length: to - from }, (_, n) => makeMessage(place.topic, from + n));
  const burst = async (first, end) => {
    let next = first;
    const call = async (caller) => {
      while (next < end) {
        const from = next;
        next = Math.min(from + place.batchSize, end);
        await writer.write(makeBatch(from, next), caller);
      }
    };
    await Promise.all(Array.from({ length: place.callers }, (_, caller) => call(caller)));
  };
  const trickle = async (first, end, everyMs) => {
    const started = nowMs();
    const writes = [];
    for (let position = first; position < end; position++) {
      await sleep(Math.max(0, started + (position - first) * everyMs - nowMs()));
      writes.push(writer.write(makeBatch(position, position + 1), 0));
    }
    await Promise.all(writes);
  };
  return {
    write: async ({ first, count, everyMs }) => {
      const startedMs = nowMs();
      await (everyMs ? trickle(first, first + count, everyMs) : burst(first, first + count));
      return { startedMs };
    },
    close: () => writer.close(),
  };
};

const startConsumer = async () => {
  await system.prepare(place);
  let leg = { first: 0, count: 0 };
  const handle = (envelopes) => {
    const now = leg.latenciesMs ? nowMs() : 0;
    for (const { payload } of envelopes) {
      const index = payload.position - leg.first;
      if (index < 0 || index >= leg.count || leg.seen[index]) {
        leg.repeats += 1;
        continue;
      }
      leg.seen[index] = 1;
      leg.left -= 1;
      leg.latenciesMs?.push(now - payload.sentAtMs);
    }
    if (leg.left === 0) leg.handled.resolve();
  };
  const consumer = await system.openConsumer(place, handle);
  return {
    expect: ({ first, count, everyMs }) => {
      const latenciesMs = everyMs ? [] : undefined;
      leg = { first, count, left: count, seen: new Uint8Array(count), repeats: 0, latenciesMs, handled: Promise.withResolvers() };
    },
    finish: async () => {
      await leg.handled.promise;
      while (!(await consumer.isCommitted())) await sleep(2);
      const committedMs = nowMs();
      const { latenciesMs, repeats } = leg;
      const latency = latenciesMs ? { p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99) } : {};
      return { committedMs, repeats, ...latency };
    },
    close: () => consumer.close(),
  };
};

const role = await (side === 'writer' ? startWriter() : startConsumer());
process.on('message', async ({ name, value }) => {
  const answer = await role[name](value);
  process.send({ answer });
});
process.on('disconnect', () => process.exit(0));
process.send({ answer: 'ready' });
