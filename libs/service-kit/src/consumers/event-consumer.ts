import { eventDefinitionOf, parseEvent, unknownEvent } from '@pca/contracts';
import { DomainError, isDomainError } from '@pca/errors';
import { deadLettered, type DeliveredMessage, handled, type Outcome, skipped } from '@pca/event-bus';
import { forget, GenerationEnded, type Group, receive, type ReceivedMessage, silenceOutbox } from '@pca/outbox';
import type { Database, Transaction } from '../database/database.js';
import { domainErrorOfDatabase } from '../database/postgres-errors.js';
import { counter } from '../observability/metrics.js';
import { inSpan, SpanKind } from '../observability/tracing.js';
import { seams } from '../seams.js';
import type { ConsumedEvent, ConsumerDefinition, EventHandler } from './consumer.js';

const repeats = counter('pca_inbox_repeats_total', 'Events that came again after they had been handled', ['group']);
const replays = counter('pca_inbox_replayed_total', 'Events that a replay has handled again', ['group']);

const unused = skipped('the group has no use for this type');
const repeated = skipped('the group has handled it before');

/** Turns messages of the bus into calls to a consumer's handlers, each batch in one transaction with the inbox. */
export class EventConsumer {
  private readonly handlers: ReadonlyMap<string, EventHandler>;

  /** `onEnded` is told when the group has begun a replay, so that this generation has nothing more to do. */
  constructor(
    private readonly definition: ConsumerDefinition,
    private readonly group: Group,
    private readonly database: Database,
    private readonly onEnded: () => void,
  ) {
    this.handlers = new Map(definition.on.map((handler) => [handler.event.type, handler]));
  }

  /** A `BatchHandler`. */
  readonly handle = async (messages: readonly DeliveredMessage[]): Promise<readonly Outcome[]> => {
    const topic = messages[0]?.topic ?? '';
    const group = this.group.name;
    if (seams.consumer.active) await seams.consumer.pass({ topic, group });
    const read = messages.map((message) => this.read(message));
    const events = read.filter(isEvent);
    const work = (): Promise<ReadonlyMap<ConsumedEvent, Outcome>> => this.inTransaction(events);
    const attributes = { 'messaging.consumer.group.name': group, 'messaging.batch.message_count': events.length };
    const traces = events.map(({ envelope }) => envelope.traceparent);
    const outcomes =
      events.length === 0
        ? new Map<ConsumedEvent, Outcome>()
        : await inSpan(`consume ${topic}`, SpanKind.CONSUMER, attributes, work, traces);
    return read.map((each) => (isEvent(each) ? (outcomes.get(each) ?? handled) : each));
  };

  /** The event that a message is, or its outcome where that is known without a handler. */
  private read(message: DeliveredMessage): ConsumedEvent | Outcome {
    const { type } = message.envelope;
    if (!this.handlers.has(type)) return eventDefinitionOf(type) ? unused : deadLettered(unknownEvent(type).message);
    try {
      return { ...message, envelope: parseEvent(message.envelope) };
    } catch (error) {
      if (isDomainError(error)) return deadLettered(error.message);
      throw error;
    }
  }

  private async inTransaction(events: readonly ConsumedEvent[]): Promise<ReadonlyMap<ConsumedEvent, Outcome>> {
    const labels = { group: this.group.name };
    try {
      const { received, outcomes } = await this.database.transaction(async (transaction) => {
        if (this.definition.inbox === false) {
          const received = byType(events).map((message) => ({ message, replayed: false }));
          return { received, outcomes: await this.handleRuns(transaction, received) };
        }
        const received = await receive(transaction, this.group, events);
        return { received, outcomes: await this.handleRuns(transaction, received) };
      });
      repeats.inc(labels, events.length - received.length);
      replays.inc(labels, received.filter(({ replayed }) => replayed).length);
      return new Map(events.map((event) => [event, outcomes.get(event) ?? repeated]));
    } catch (error) {
      if (error instanceof GenerationEnded) this.onEnded();
      throw errorOf(error);
    }
  }

  /** In the order in which they came, whatever their types: a handler gets what lies together. */
  private async handleRuns(
    transaction: Transaction,
    received: readonly ReceivedMessage<ConsumedEvent>[],
  ): Promise<ReadonlyMap<ConsumedEvent, Outcome>> {
    const outcomes = new Map<ConsumedEvent, Outcome>();
    let silent = false;
    for (const { type, replayed, events } of runsOf(received)) {
      if (replayed !== silent) await silenceOutbox(transaction, replayed);
      silent = replayed;
      const context = { group: this.group.name, transaction, replaying: replayed };
      const answers = (await this.handlers.get(type)?.handle(events, context)) ?? [];
      if (answers.length !== 0 && answers.length !== events.length)
        throw new Error(`The handler of ${type} answered ${answers.length} outcomes for ${events.length} events`);
      for (const [i, event] of events.entries()) outcomes.set(event, answers[i] ?? handled);
    }
    // Redriven, it comes again under the same id.
    if (this.definition.inbox === false) return outcomes;
    const givenUp = received.filter(({ message }) => outcomes.get(message)?.is === 'deadLettered');
    if (givenUp.length > 0) await forget(transaction, this.group, givenUp);
    return outcomes;
  }
}

/** Those of a type lie together and keep their order. */
const byType = (events: readonly ConsumedEvent[]): readonly ConsumedEvent[] =>
  [...Map.groupBy(events, ({ envelope }) => envelope.type).values()].flat();

const isEvent = (each: ConsumedEvent | Outcome): each is ConsumedEvent => 'envelope' in each;

interface Run {
  readonly type: string;
  readonly replayed: boolean;
  readonly events: ConsumedEvent[];
}

/** What lies together and is handled alike. */
export const runsOf = (received: readonly ReceivedMessage<ConsumedEvent>[]): readonly Run[] => {
  const runs: Run[] = [];
  for (const { message, replayed } of received) {
    const last = runs.at(-1);
    const { type } = message.envelope;
    if (last?.type === type && last.replayed === replayed) last.events.push(message);
    else runs.push({ type, replayed, events: [message] });
  }
  return runs;
};

/** SERVICE_UNAVAILABLE, which the bus repeats without limit, for what is no message's fault; anything else as it is. */
const errorOf = (error: unknown): unknown => {
  if (error instanceof GenerationEnded) return new DomainError('SERVICE_UNAVAILABLE', error.message, {}, { cause: error });
  const known = isDomainError(error) ? undefined : domainErrorOfDatabase(error);
  return known?.code === 'SERVICE_UNAVAILABLE' ? known : error;
};
