export { decodeMessage, encodeMessage, type EncodedMessage } from './encode-message.js';
export type { EventBusObserver, EventPublisher } from './event-publisher.js';
export {
  PostgresEventBus,
  postgresEventBusLimits,
  type PostgresEventBusLimits,
  type PostgresEventBusOptions,
  type ReadRequest,
} from './postgres/postgres-event-bus.js';
export type { PartitionHead, StoredMessage } from './postgres/postgres-log.js';
