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
      const envelope = parseEvent(message.envelope);
      return envelope === message.envelope ? message : { ...message, envelope };
    } catch (error) {
      if (isDomainError(error)) return deadLettered(error.message);
      throw error;
    }
  }

  /** What became of the events; handled, those that it does not name. */
  private async inTransaction(events: readonly ConsumedEvent[]): Promise<ReadonlyMap<ConsumedEvent, Outcome>> {
    try {
      if (this.definition.inbox === false) return await this.database.transaction((transaction) => this.handleTypes(transaction, events));
      const { received, outcomes } = await this.database.transaction((transaction) => this.handleNew(transaction, events));
      const labels = { group: this.group.name };
      repeats.inc(labels, events.length - received.length);
      replays.inc(labels, received.filter(({ replayed }) => replayed).length);
      return outcomes;
    } catch (error) {
      if (error instanceof GenerationEnded) this.onEnded();
      throw errorOf(error);
    }
  }

  /** All of a type at once, in their order. */
  private async handleTypes(transaction: Transaction, events: readonly ConsumedEvent[]): Promise<ReadonlyMap<ConsumedEvent, Outcome>> {
    const outcomes = new Map<ConsumedEvent, Outcome>();
    for (const [type, ofType] of Map.groupBy(events, ({ envelope }) => envelope.type))
      await this.handleRun(transaction, { type, replayed: false, events: ofType }, outcomes);
    return outcomes;
  }

  /** Those that the inbox does not know. */
  private async handleNew(transaction: Transaction, events: readonly ConsumedEvent[]): Promise<HandledNew> {
    const received = await receive(transaction, this.group, events);
    const outcomes = new Map<ConsumedEvent, Outcome>(events.map((event) => [event, repeated]));
    for (const { message } of received) outcomes.delete(message);
    await this.handleRuns(transaction, received, outcomes);
    return { received, outcomes };
  }

  /** In the order in which they came, whatever their types: a handler gets what lies together. */
  private async handleRuns(
    transaction: Transaction,
    received: readonly ReceivedMessage<ConsumedEvent>[],
    outcomes: Map<ConsumedEvent, Outcome>,
  ): Promise<void> {
    let silent = false;
    for (const run of runsOf(received)) {
      if (run.replayed !== silent) await silenceOutbox(transaction, run.replayed);
      silent = run.replayed;
      await this.handleRun(transaction, run, outcomes);
    }
    // Redriven, it comes again under the same id.
    const givenUp = received.filter(({ message }) => outcomes.get(message)?.is === 'deadLettered');
    if (givenUp.length > 0) await forget(transaction, this.group, givenUp);
  }

  private async handleRun(transaction: Transaction, { type, replayed, events }: Run, outcomes: Map<ConsumedEvent, Outcome>): Promise<void> {
    const context = { group: this.group.name, transaction, replaying: replayed };
    const answers = (await this.handlers.get(type)?.handle(events, context)) ?? [];
    if (answers.length !== 0 && answers.length !== events.length)
      throw new Error(`The handler of ${type} answered ${answers.length} outcomes for ${events.length} events`);
    for (const [i, answer] of answers.entries()) if (answer !== handled) outcomes.set(events[i] as ConsumedEvent, answer);
  }
}

const isEvent = (each: ConsumedEvent | Outcome): each is ConsumedEvent => 'envelope' in each;

interface HandledNew {
  readonly received: readonly ReceivedMessage<ConsumedEvent>[];
  readonly outcomes: ReadonlyMap<ConsumedEvent, Outcome>;
}

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
