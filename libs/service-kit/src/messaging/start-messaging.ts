import { inboxOldestAgeSeconds, pruneDeadRows, pruneInbox } from '@pca/outbox';
import type { Database } from '../database/database.js';
import type { Health } from '../http/health.js';
import type { Logger } from '../observability/logger.js';
import { askedGauge } from '../observability/metrics.js';
import type { ConsumerDefinition } from '../consumers/consumer.js';
import type { ServiceBus } from './service-bus.js';
import { startConsumers } from '../consumers/start-consumers.js';
import { startOutbox } from './start-outbox.js';

const inboxAge = askedGauge('pca_inbox_oldest_age_seconds', 'Age of what the inbox remembers longest');

const pruneMs = 60_000;

interface Messaging {
  readonly database: Database;
  readonly bus: ServiceBus;
  readonly logger: Logger;
  readonly consumers: readonly ConsumerDefinition[];
}

/**
 * What a service does on the bus: its outbox goes out, its consumers take in, what is kept for a while is pruned. Returns how to drain it.
 */
export const startMessaging = ({ database, bus, logger, consumers }: Messaging, health: Health): (() => Promise<void>) => {
  const stopOutbox = startOutbox(database, bus, logger);
  const running = startConsumers({ database, bus, logger }, consumers);
  const consumes = consumers.length > 0;
  const forgetAge = consumes ? inboxAge([{}], async () => [await inboxOldestAgeSeconds(database.pool)]) : () => undefined;
  const prune = (): void => {
    Promise.all([pruneDeadRows(database.pool), consumes ? pruneInbox(database.pool) : undefined]).catch((err: unknown) =>
      logger.warn({ err }, 'the outbox and inbox were not pruned; it is tried again'),
    );
  };
  const timer = setInterval(prune, pruneMs);
  // Without the bus the service does its work: events wait.
  health.addOptional({ name: 'bus', check: () => bus.ping() });
  health.addDegraded(() => Promise.resolve(running.absent().map((group) => `consumer ${group}`)));
  return async () => {
    clearInterval(timer);
    forgetAge();
    await running.close();
    await stopOutbox();
    await bus.close();
  };
};
