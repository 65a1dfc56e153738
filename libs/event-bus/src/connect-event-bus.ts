import type { EventBus, EventBusAdmin } from './event-bus.js';
import { KafkaEventBus, type KafkaEventBusOptions } from './kafka/kafka-event-bus.js';
import { PostgresEventBus, type PostgresEventBusOptions } from './postgres/postgres-event-bus.js';

export type EventBusConfig = ({ readonly bus: 'postgres' } & PostgresEventBusOptions) | ({ readonly bus: 'kafka' } & KafkaEventBusOptions);

/** Opens the bus that the configuration names. SERVICE_UNAVAILABLE when it does not answer. */
export const connectEventBus = (config: EventBusConfig): Promise<EventBus & EventBusAdmin> =>
  config.bus === 'kafka' ? KafkaEventBus.connect(config) : PostgresEventBus.connect(config);
