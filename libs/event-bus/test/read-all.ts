import { type DeliveredMessage, type EventBus, type EventBusAdmin, readTopic } from '../src/index.js';

/** Everything of a topic, by partition. */
export const readAll = async (bus: EventBus & EventBusAdmin, topic: string): Promise<DeliveredMessage[][]> => {
  const partitions = (await bus.offsets(topic)).map((): DeliveredMessage[] => []);
  await readTopic(bus, topic, (messages) => messages.forEach((message) => partitions[message.partition]?.push(message)));
  return partitions;
};
