import { type EventPublisher, PostgresEventBus } from '@pca/event-bus';
import { OutboxRelay } from '@pca/outbox';
import type { Logger } from '../observability/logger.js';
import { counter, gauge, histogram } from '../observability/metrics.js';
import { inSpan, SpanKind } from '../observability/tracing.js';
import type { Database } from './database.js';

/** The bus, opened when it is first needed, so that a service works while the bus is away: its events wait in the outbox. */
class LazyBus implements EventPublisher {
  private bus: PostgresEventBus | undefined;

  constructor(
    private readonly url: string,
    private readonly logger: Logger,
  ) {}

  async publish(messages: Parameters<EventPublisher['publish']>[0]): Promise<void> {
    this.bus ??= await PostgresEventBus.connect({
      url: this.url,
      observer: { connectionLost: (err) => this.logger.warn({ err }, 'a connection to the bus was lost') },
    });
    const bus = this.bus;
    await inSpan('bus publish', SpanKind.PRODUCER, { 'messaging.batch.message_count': messages.length }, () => bus.publish(messages));
  }

  async close(): Promise<void> {
    await this.bus?.close();
  }
}

/** Relays the service's outbox to the bus until the returned function is called, which drains it. */
export const startOutbox = (database: Database, busUrl: string, logger: Logger): (() => Promise<void>) => {
  const publisher = new LazyBus(busUrl, logger);
  const relayed = counter('pca_outbox_relayed_total', 'Events that reached the bus');
  const pageSeconds = histogram('pca_outbox_page_seconds', 'Time to publish and remove one page of the outbox');
  const relay = new OutboxRelay({
    pool: database.pool,
    publisher,
    onError: (err, { attempt, retryInMs }) => logger.warn({ err, attempt, retryInMs }, 'the outbox waits: the bus did not take its events'),
    observer: {
      relayed: (messages, seconds) => {
        relayed.inc(messages);
        pageSeconds.observe(seconds);
      },
    },
  });
  gauge('pca_outbox_depth', 'Events that wait to be published', [], async (metric) =>
    metric.set(await relay.depth().catch(() => Number.NaN)),
  );
  gauge('pca_outbox_oldest_age_seconds', 'How long the oldest event has waited', [], async (metric) =>
    metric.set(await relay.oldestAgeSeconds().catch(() => Number.NaN)),
  );
  const forget = database.onCommit(() => relay.nudge());
  relay.start();
  return async () => {
    forget();
    await relay.stop();
    await publisher.close();
  };
};
