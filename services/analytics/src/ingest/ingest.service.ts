import { type BusMessage } from '@pca/contracts';
import { DomainError, type ErrorCode, isDomainError } from '@pca/errors';
import { RateLimitStore, type ServiceBus } from '@pca/service-kit';
import type { Dictionary } from '../timelines/dictionary.store.js';
import type { WorkspaceStore } from '../workspaces/workspace.store.js';
import { ingestEventsTotal } from './ingest-metrics.js';
import type { Visitor } from './reading/event-context.js';
import { type Origin, type ReadEvent, readEvent } from './reading/read-event.js';

/** Who sends, and what their request says besides its events. */
export interface IngestSource {
  readonly workspaceId: string;
  /** Whose budget the events are taken from. */
  readonly budget: string;
  readonly visitor: Visitor;
  /** When it was sent by the client's clock, as the client says. */
  readonly sentAt: unknown;
  /** Of the body: what it weighs while it waits for the bus. */
  readonly bytes: number;
  /** Events that its budget has given already. */
  readonly taken: number;
  readonly correlationId: string;
  readonly traceparent: string | null;
}

/** An event as parsed JSON; `type` is its own, or the one that the call stands for. */
export interface IngestItem {
  readonly type: unknown;
  readonly event: unknown;
}

export interface RefusedEvent {
  readonly index: number;
  readonly messageId: string | null;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface Acceptance {
  /** Events that are durable on the bus, and those whose person did not consent, which are nowhere. */
  readonly accepted: number;
  readonly errors: readonly RefusedEvent[];
  /** What was accepted, in the order of the items. */
  readonly events: readonly ReadEvent[];
}

export interface IngestLimits {
  /** Of one key, or of the tokens of one workspace, counted over a few seconds, in each process. */
  readonly eventsPerSecondMax: number;
  /** Events that this process holds until the bus has them. */
  readonly eventsInFlightMax: number;
}

/** What a second lacks, the seconds beside it may have left. */
const burstSeconds = 5;
const bytesInFlightMax = 64 * 1024 * 1024;
/** What of both one budget may hold, so that there is room for the others while the bus is slow. */
const shareMax = 0.25;
const retryAfterSeconds = 1;

interface Load {
  events: number;
  bytes: number;
}

const add = (held: Load, { events, bytes }: Load, sign: 1 | -1): void => {
  held.events += sign * events;
  held.bytes += sign * bytes;
};

/** The one way in for behaviour events, whether they come over HTTP or through the graph. */
export class IngestService {
  private readonly inFlight: Load = { events: 0, bytes: 0 };
  private readonly inFlightOf = new Map<string, Load>();
  private readonly budgets: RateLimitStore;

  constructor(
    private readonly limits: IngestLimits,
    private readonly bus: ServiceBus,
    private readonly workspaces: WorkspaceStore,
    private readonly dictionary: Dictionary,
  ) {
    const window = { points: limits.eventsPerSecondMax * burstSeconds, windowSeconds: burstSeconds };
    this.budgets = RateLimitStore.open(window, undefined, () => undefined);
  }

  /** Takes events from a budget before they are known; also none, so that a flood is not read. Throws RATE_LIMITED when it is overdrawn. */
  take(budget: string, events: number): Promise<void> {
    return this.budgets.take(budget, events);
  }

  /**
   * Resolves when every event that is fine is durable on the bus; the others are told apart and hold up none. Throws RATE_LIMITED, and
   * SERVICE_UNAVAILABLE when the bus does not answer or too much waits for it: then nothing was taken, or the repeat of what was is told by
   * its messageId.
   */
  async accept(source: IngestSource, items: readonly IngestItem[]): Promise<Acceptance> {
    const release = this.admit(source.budget, { events: items.length, bytes: source.bytes });
    try {
      await this.budgets.take(source.budget, Math.max(0, items.length - source.taken));
      const { events, errors } = await this.read(source, items);
      const messages = events.flatMap(({ message }) => (message === 'withheld' ? [] : [message]));
      if (messages.length > 0) await this.publish(messages);
      ingestEventsTotal.inc({ outcome: 'accepted' }, messages.length);
      ingestEventsTotal.inc({ outcome: 'withheld' }, events.length - messages.length);
      ingestEventsTotal.inc({ outcome: 'refused' }, errors.length);
      return { accepted: events.length, errors, events };
    } finally {
      release();
    }
  }

  private async read(source: IngestSource, items: readonly IngestItem[]): Promise<Pick<Acceptance, 'events' | 'errors'>> {
    const workspace = await this.workspaces.get(source.workspaceId);
    const origin = { ...source, policy: workspace, retentionDays: workspace.retentionDays, receivedAtMs: Date.now() };
    const read: (ReadEvent | DomainError)[] = items.map(({ type, event }) => readOrRefuse(event, type, origin));
    const names = new Set<string>();
    for (const each of read) if (!isDomainError(each) && each.name !== undefined) names.add(each.name);
    const admitted = names.size > 0 ? await this.dictionary.admitEventNames(workspace, [...names]) : names;
    const events: ReadEvent[] = [];
    const errors: RefusedEvent[] = [];
    for (const [index, each] of read.entries()) {
      const refusal = isDomainError(each) ? each : refusalOf(each, admitted);
      if (refusal) errors.push({ index, messageId: messageIdOf(items[index]?.event), code: refusal.code, message: refusal.message });
      else events.push(each as ReadEvent);
    }
    return { events, errors };
  }

  private async publish(messages: readonly BusMessage[]): Promise<void> {
    try {
      await this.bus.publish(messages);
    } catch (error) {
      if (!isDomainError(error) || error.code !== 'SERVICE_UNAVAILABLE') throw error;
      throw new DomainError(
        'SERVICE_UNAVAILABLE',
        'The event bus takes no events now; send them again',
        { retryAfterSeconds },
        { cause: error },
      );
    }
  }

  private admit(budget: string, load: Load): () => void {
    const own = this.inFlightOf.get(budget) ?? { events: 0, bytes: 0 };
    // Whoever holds nothing may always send one request, however large.
    const isOver = own.events > 0 && !this.fits(own, load, shareMax);
    if (isOver || !this.fits(this.inFlight, load, 1))
      throw new DomainError('SERVICE_UNAVAILABLE', 'Too many events wait for the event bus; send them again', { retryAfterSeconds });
    this.inFlightOf.set(budget, own);
    for (const held of [this.inFlight, own]) add(held, load, 1);
    return () => {
      for (const held of [this.inFlight, own]) add(held, load, -1);
      if (own.events === 0) this.inFlightOf.delete(budget);
    };
  }

  private fits(held: Load, load: Load, share: number): boolean {
    return held.events + load.events <= this.limits.eventsInFlightMax * share && held.bytes + load.bytes <= bytesInFlightMax * share;
  }
}

const readOrRefuse = (event: unknown, type: unknown, origin: Origin): ReadEvent | DomainError => {
  try {
    return readEvent(event, type, origin);
  } catch (error) {
    if (isDomainError(error)) return error;
    throw error;
  }
};

/** Names are few: one that is made of what varies would fill the memory of everybody who counts by it. */
const refusalOf = ({ name }: ReadEvent, admitted: ReadonlySet<string>): DomainError | undefined =>
  name === undefined || admitted.has(name)
    ? undefined
    : new DomainError(
        'TOO_MANY_EVENT_NAMES',
        `The workspace has as many event names as it may; ${JSON.stringify(name)} is not one of them`,
      );

const messageIdLengthMax = 256;
const messageIdOf = (event: unknown): string | null => {
  const id = (event as { messageId?: unknown } | null)?.messageId;
  return typeof id === 'string' ? id.slice(0, messageIdLengthMax) : null;
};
