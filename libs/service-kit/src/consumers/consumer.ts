import type { EventContext, EventDefinition, EventEnvelope } from '@pca/contracts';
import type { DeliveredMessage, Outcome, SubscribeOptions } from '@pca/event-bus';
import type { z } from 'zod';
import type { Transaction } from '../database/database.js';
import { activeTraceparent } from '../observability/tracing.js';

/** An event as a handler gets it: its payload has been checked by its contract. */
export type ConsumedEvent<P = unknown> = DeliveredMessage & { readonly envelope: EventEnvelope<P> };

export interface ConsumeContext {
  readonly group: string;
  /**
   * The transaction in which the events are handled, and in which the inbox remembers them: what is written through it happens exactly once.
   * What is done outside of it happens at least once.
   */
  readonly transaction: Transaction;
  /** The events were handled before, and a replay makes the projection anew: what is enqueued in the transaction is not kept. */
  readonly replaying: boolean;
}

/**
 * Handles events of one type, in their order, none of which this group has handled yet. Answers with an outcome for each, or with nothing
 * when all were handled. An event that it answers as dead-lettered must have left nothing behind. A throw undoes the transaction and means
 * "try again", see `BatchHandler`; so does a database that is away, for as long as it is.
 */
export type EventHandle<P> = (events: readonly ConsumedEvent<P>[], context: ConsumeContext) => Promise<readonly Outcome[] | void>;

export interface EventHandler {
  readonly event: EventDefinition;
  readonly handle: EventHandle<unknown>;
}

/** What a consumer does with events of one type. */
export const on = <S extends z.ZodObject>(event: EventDefinition<S>, handle: EventHandle<z.infer<S>>): EventHandler =>
  ({ event, handle }) as unknown as EventHandler;

/** A consumer group of a service. Its name is one of the whole bus, so it begins with that of the service: `analytics.workspaces`. */
export interface ConsumerDefinition extends Omit<SubscribeOptions, 'topics' | 'handle' | 'generation'> {
  /**
   * Its topics are those of these events. Types that it does not name are skipped; an event that breaks its contract, and a type or version
   * that no contract knows, become dead letters at once.
   */
  readonly on: readonly EventHandler[];
  /**
   * false: the inbox is not asked, because the handlers know by themselves, and durably, what they have handled. They get repeats too, and all
   * events of one type of a batch in one call, whatever lies between them, so what they do must not depend on the order of types.
   */
  readonly inbox?: boolean;
  /**
   * Empties the group's projection, in the transaction with which a replay begins; everything that the bus still keeps comes again after
   * that. A group without one cannot be replayed.
   */
  readonly reset?: (transaction: Transaction) => Promise<void>;
}

export const topicsOf = ({ on: handlers }: ConsumerDefinition): string[] => [...new Set(handlers.map(({ event }) => event.topic))];

/** For `makeEvent`: an event that follows from another one. */
export const followingFrom = ({ envelope }: ConsumedEvent): EventContext => ({
  workspaceId: envelope.workspaceId,
  correlationId: envelope.correlationId,
  causationId: envelope.id,
  traceparent: activeTraceparent() ?? envelope.traceparent,
});
