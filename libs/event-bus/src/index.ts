export { decodeMessage, encodeMessage, messageBytesMaxDefault, type EncodedMessage } from './encode-message.js';
export type { EventBusObserver, EventPublisher } from './event-publisher.js';
export { murmur2, partitionOf } from './partition-of.js';
export {
  PostgresEventBus,
  postgresEventBusLimits,
  type PostgresEventBusLimits,
  type PostgresEventBusOptions,
  type ReadRequest,
} from './postgres/postgres-event-bus.js';
export type { PartitionHead, StoredMessage } from './postgres/postgres-log.js';
