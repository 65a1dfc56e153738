import type { PostgresEventBus, StoredMessage } from '../src/index.js';

/** Everything of a topic, by partition, read page by page. */
export const readAll = async (bus: PostgresEventBus, topic: string, limit = 1000): Promise<StoredMessage[][]> => {
  const partitions: StoredMessage[][] = [];
  for (const { partition, nextOffset } of await bus.heads(topic)) {
    const messages: StoredMessage[] = [];
    while (messages.length < nextOffset) {
      const page = await bus.read({ topic, partition, fromOffset: messages.length, limit });
      if (page.length === 0) throw new Error(`${topic}/${partition} ends at ${messages.length} and its head says ${nextOffset}`);
      messages.push(...page);
    }
    partitions[partition] = messages;
  }
  return partitions;
};
