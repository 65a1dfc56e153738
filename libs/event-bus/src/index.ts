export { connectEventBus, type EventBusConfig } from './connect-event-bus.js';
export { decodeMessage, encodeMessage, type EncodedMessage, lineOf } from './encode-message.js';
export {
  type BatchHandler,
  type BroadcastOptions,
  deadLettered,
  type DeliveredMessage,
  type EventBus,
  type EventBusAdmin,
  handled,
  type Outcome,
  type PartitionLag,
  type PartitionOffsets,
  positionsName,
  skipped,
  type SubscribeOptions,
  type Subscription,
} from './event-bus.js';
export type { EventBusObserver } from './event-bus-observer.js';
export type { EventPublisher } from './event-publisher.js';
export { KafkaEventBus, kafkaEventBusLimits, type KafkaEventBusLimits, type KafkaEventBusOptions } from './kafka/kafka-event-bus.js';
export {
  PostgresEventBus,
  postgresEventBusLimits,
  type PostgresEventBusLimits,
  type PostgresEventBusOptions,
} from './postgres/postgres-event-bus.js';
export { readTopic } from './read-topic.js';
export { type OpenDeadLetter, openDeadLetters, redrive, type RedriveFilter, type Redriven } from './redrive.js';
