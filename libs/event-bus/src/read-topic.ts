import { setTimeout as sleep } from 'node:timers/promises';
import type { DeliveredMessage, EventBus, EventBusAdmin } from './event-bus.js';

const looksAgain = 200;

/**
 * Everything that a topic keeps now, each partition in its order, batch after batch; messages for one group alone are left out. Resolves
 * when the end that it had at the call was reached, or rejects with what `onBatch`, or its promise, fails with. What is no message is
 * passed over.
 */
export const readTopic = async (
  bus: EventBus & EventBusAdmin,
  topic: string,
  onBatch: (messages: readonly DeliveredMessage[]) => unknown,
): Promise<void> => {
  const ends = new Map((await bus.offsets(topic)).filter(({ start, end }) => end > start).map(({ partition, end }) => [partition, end]));
  if (ends.size === 0) return;
  let failure: { readonly error: unknown } | undefined;
  const subscription = await bus.broadcast({
    topics: [topic],
    from: 'earliest',
    concurrency: 1,
    handle: async (messages) => {
      const wanted = messages.filter(({ partition, offset }) => offset < (ends.get(partition) ?? 0));
      if (wanted.length === 0 || failure) return;
      try {
        await onBatch(wanted);
      } catch (error) {
        failure = { error };
      }
    },
  });
  const isAtEnd = (): boolean => {
    const positions = subscription.positions()[topic];
    return [...ends].every(([partition, end]) => (positions?.get(partition) ?? 0) >= end);
  };
  for (let waits = 1; !failure && !isAtEnd(); waits += 1) {
    await sleep(5);
    if (waits % looksAgain === 0) await forgetDropped(bus, topic, ends);
  }
  await subscription.close();
  if (failure) throw failure.error;
};

/** Nothing comes any more of a partition whose messages the retention has dropped since the first look. */
const forgetDropped = async (bus: EventBusAdmin, topic: string, ends: Map<number, number>): Promise<void> => {
  const starts = new Map((await bus.offsets(topic).catch(() => [])).map(({ partition, start }) => [partition, start]));
  for (const [partition, end] of ends) if ((starts.get(partition) ?? 0) >= end) ends.delete(partition);
};
