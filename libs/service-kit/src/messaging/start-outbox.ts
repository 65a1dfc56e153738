import { countDeadRows, OutboxRelay } from '@pca/outbox';
import type { Database } from '../database/database.js';
import type { Logger } from '../observability/logger.js';
import { askedGauge, counter, histogram } from '../observability/metrics.js';
import type { ServiceBus } from './service-bus.js';

const relayed = counter('pca_outbox_relayed_total', 'Events that reached the bus');
const pageSeconds = histogram('pca_outbox_page_seconds', 'Time to publish and remove one page of the outbox');
const buried = counter('pca_outbox_buried_total', 'Rows that can never be published and were moved aside');
const depth = askedGauge('pca_outbox_depth', 'Events that wait to be published');
const oldestAge = askedGauge('pca_outbox_oldest_age_seconds', 'How long the oldest event has waited');
const dead = askedGauge('pca_outbox_dead', 'Rows that could not be published and wait for somebody to look at them');

/** Relays the service's outbox to the bus until the returned function is called, which drains it. */
export const startOutbox = (database: Database, bus: ServiceBus, logger: Logger): (() => Promise<void>) => {
  const relay = new OutboxRelay({
    pool: database.pool,
    publisher: bus,
    onError: (err, { attempt, retryInMs }) => logger.warn({ err, attempt, retryInMs }, 'the outbox waits: the bus did not take its events'),
    observer: {
      relayed: (messages, seconds) => {
        relayed.inc(messages);
        pageSeconds.observe(seconds);
      },
      buried: (row, reason) => {
        buried.inc();
        logger.error({ ...row, reason }, 'an event can never be published and was moved to outbox_dead');
      },
    },
  });
  const forget = [
    depth([{}], async () => [await relay.depth()]),
    oldestAge([{}], async () => [await relay.oldestAgeSeconds()]),
    dead([{}], async () => [await countDeadRows(database.pool)]),
    database.onCommit(() => relay.nudge()),
  ];
  relay.start();
  return async () => {
    for (const each of forget) each();
    await relay.stop();
  };
};
