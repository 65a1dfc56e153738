import type { BusMessage } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { connectEventBus, type EventBus, type EventBusAdmin, type EventBusConfig, type EventPublisher } from '@pca/event-bus';
import type { Logger } from '../observability/logger.js';
import { inSpan, SpanKind } from '../observability/tracing.js';
import { busObserver } from './bus-observer.js';

type Bus = EventBus & EventBusAdmin;

/**
 * The one bus of a process, opened when it is first needed, so that a service boots and works while the bus is away: its events wait in the
 * outbox, and whoever wants the bus asks again.
 */
export class ServiceBus implements EventPublisher {
  private opening: Promise<Bus> | undefined;
  private closed = false;

  constructor(
    private readonly config: EventBusConfig,
    private readonly logger: Logger,
  ) {}

  /** The bus itself, for what is not published. SERVICE_UNAVAILABLE while it does not answer, and when it is closed. */
  open(): Promise<Bus> {
    if (this.closed) return Promise.reject(new DomainError('SERVICE_UNAVAILABLE', 'The event bus is closed'));
    this.opening ??= connectEventBus({ ...this.config, observer: busObserver(this.logger) }).catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
    return this.opening;
  }

  async publish(messages: readonly BusMessage[]): Promise<void> {
    const bus = await this.open();
    await inSpan('bus publish', SpanKind.PRODUCER, { 'messaging.batch.message_count': messages.length }, () => bus.publish(messages));
  }

  /** Rejects with SERVICE_UNAVAILABLE when the bus does not answer. */
  async ping(): Promise<void> {
    await (await this.open()).ping();
  }

  /** Drains the subscriptions and what is being published, then lets go. */
  async close(): Promise<void> {
    this.closed = true;
    const bus = await this.opening?.catch(() => undefined);
    await bus?.close();
  }
}
