import { type BehaviourContext, eventTracked, makeEvent } from '@pca/contracts';
import type { EventPublisher } from '@pca/event-bus';
import { v7 as uuidv7 } from 'uuid';

/** What somebody did, as a program inside the cluster tells of it. One of `userId` and `anonymousId` is needed. */
export interface BehaviourEvent {
  /** `page` for a page view. */
  readonly event: string;
  readonly userId?: string;
  readonly anonymousId?: string;
  /** Absent: one is made, and the event counts again when it is published again. */
  readonly messageId?: string;
  /** Absent: now. */
  readonly timestamp?: Date;
  readonly sessionId?: string;
  /** Path or name of the page. */
  readonly page?: string;
  /** What the action was done to. */
  readonly resource?: string;
  /** Plain JSON. */
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly context?: BehaviourContext;
  readonly isBot?: boolean;
}

/** Whose behaviour it is, and who tells of it: the name of the calling service. */
export interface BehaviourSource {
  readonly workspaceId: string;
  readonly producer: string;
}

/**
 * Puts behaviour events straight onto the bus, without a key and without the limits of the HTTP ingest. Resolves when they are durable;
 * throws what the publisher throws (SERVICE_UNAVAILABLE may succeed later), and ZodError for an event that breaks the contract, which is a
 * bug. A caller that must not wait for the bus keeps a bounded queue of its own.
 */
export const publishBehaviour = async (
  publisher: EventPublisher,
  { workspaceId, producer }: BehaviourSource,
  events: readonly BehaviourEvent[],
): Promise<void> => {
  const correlationId = uuidv7();
  const messages = events.map(({ timestamp: occurredAt = new Date(), ...event }) => {
    const { userId = null, anonymousId = null, messageId = uuidv7(), sessionId = null, page = null, resource = null } = event;
    const { properties = {}, context = {}, isBot = false } = event;
    const what = { event: event.event, page, resource, properties: { ...properties }, context, isBot };
    const payload = { messageId, timestamp: occurredAt.toISOString(), userId, anonymousId, sessionId, ...what };
    return makeEvent(eventTracked, payload, { workspaceId, producer, correlationId, occurredAt });
  });
  if (messages.length > 0) await publisher.publish(messages);
};
