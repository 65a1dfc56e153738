import { setTimeout as sleep } from 'node:timers/promises';
import type { BusMessage } from '@pca/contracts';
import { connectEventBus } from '../../../src/index.js';
import { messageOf } from '../../messages.js';
import { randomFrom } from '../../random.js';
import { ordersOf, untilDone, type WriterOrders } from './orders.js';

// Publishes numbered messages of its own keys, several calls at once, and again what was refused; says `ack` and the ids of what was
// acknowledged. SIGTERM lets it publish what it has.
const { bus: config, topic, name, seed } = ordersOf<WriterOrders>();
const random = randomFrom(undefined, seed);
const keys = Array.from({ length: 6 }, (_, i) => `${name} ${i}`);
const sequences = new Map<string, number>();
const bus = await untilDone(() => connectEventBus(config));
let stopping = false;
process.once('SIGTERM', () => (stopping = true));
process.stdout.write('started\n');

const nextMessage = (): BusMessage => {
  const key = random.pick(keys);
  const sequence = (sequences.get(key) ?? 0) + 1;
  sequences.set(key, sequence);
  return messageOf(topic, key, sequence);
};

const inCalls = (messages: readonly BusMessage[]): BusMessage[][] => {
  const calls: BusMessage[][] = [];
  for (let at = 0; at < messages.length;) {
    const size = 1 + random.below(15);
    calls.push(messages.slice(at, at + size));
    at += size;
  }
  return calls;
};

let refused: BusMessage[] = [];
while (!stopping || refused.length > 0) {
  const messages = refused.length > 0 ? refused : Array.from({ length: 1 + random.below(40) }, nextMessage);
  const calls = inCalls(messages);
  const results = await Promise.allSettled(calls.map((call) => bus.publish(call)));
  const acknowledged = calls.filter((_, i) => results[i]?.status === 'fulfilled').flat();
  if (acknowledged.length > 0) process.stdout.write(`ack ${acknowledged.map(({ envelope }) => envelope.id).join(' ')}\n`);
  refused = calls.filter((_, i) => results[i]?.status === 'rejected').flat();
  // As a relay does whose answer got lost: the same ids once more.
  if (refused.length === 0 && random.chance(0.1)) await bus.publish(random.pick(calls)).catch(() => undefined);
  await sleep(40 + random.below(60));
}
await bus.close();
