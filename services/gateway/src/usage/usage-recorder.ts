import { createHmac, randomBytes } from 'node:crypto';
import type { Principal } from '@pca/contracts';
import { type BehaviourEvent, counter, type Logger } from '@pca/service-kit';
import { v7 as uuidv7 } from 'uuid';

/** A graph operation that was answered. Nothing of its text or its variables is known here. */
export interface FinishedOperation {
  readonly type: string;
  /** Out of a bounded set, for callers choose it. */
  readonly name: string;
  readonly principal: Principal;
  readonly status: number;
  /** Of its first error; undefined: there is none. */
  readonly code: string | undefined;
  readonly seconds: number;
}

export interface UsageOptions {
  readonly publish: (events: readonly BehaviourEvent[]) => Promise<void>;
  readonly logger: Logger;
  /** What persons are hashed with; absent: one of this process, so that they are others after a restart. */
  readonly salt: string | undefined;
  readonly waitingMax?: number;
}

const eventsTotal = counter(
  'pca_gateway_usage_events_total',
  'Usage events by what became of them: published, or dropped for want of room',
  ['outcome'],
);

const flushMs = 1_000;
/** Each call makes its messages in one go, between requests. */
const flushEventsMax = 500;
const stopMsMax = 1_000;
const durations = [10, 50, 100, 500, 1_000, 5_000];

/**
 * The gateway's own usage as behaviour events: who did which kind of operation, and how it went. Once a second what has gathered is
 * published. While the bus is away it waits, and what is more than a fixed number is dropped and counted: a request neither waits nor fails.
 */
export class UsageRecorder {
  private waiting: BehaviourEvent[] = [];
  private flushing: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isAway = false;
  private readonly salt: string | Buffer;
  private readonly waitingMax: number;
  private readonly persons = new WeakMap<Principal, string>();

  constructor(private readonly options: UsageOptions) {
    this.salt = options.salt ?? randomBytes(32);
    this.waitingMax = options.waitingMax ?? 10_000;
  }

  record({ type, name, principal, status, code, seconds }: FinishedOperation): void {
    if (this.waiting.length >= this.waitingMax) return eventsTotal.inc({ outcome: 'dropped' });
    this.waiting.push({
      messageId: uuidv7(),
      timestamp: new Date(),
      userId: this.personOf(principal),
      event: `graphql ${type}`,
      resource: name,
      properties: { status, ...(code !== undefined && { code }), duration: durationOf(seconds * 1000) },
    });
  }

  start(): void {
    this.timer = setInterval(() => void this.flush(), flushMs);
  }

  /** Publishes what waits, if the bus takes it within a second. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, stopMsMax);
    });
    const last = (async () => {
      await this.flushing;
      await this.flush();
    })();
    await Promise.race([last, late]);
    clearTimeout(timer);
  }

  private flush(): Promise<void> {
    this.flushing ??= this.publishWaiting().finally(() => {
      this.flushing = undefined;
    });
    return this.flushing;
  }

  private async publishWaiting(): Promise<void> {
    const { publish, logger } = this.options;
    try {
      while (this.waiting.length > 0) {
        const events = this.waiting.slice(0, flushEventsMax);
        await publish(events);
        // Only now: a repeat of what was stored unheard is told by its messageId.
        this.waiting = this.waiting.slice(events.length);
        eventsTotal.inc({ outcome: 'published' }, events.length);
      }
      if (this.isAway) logger.info('usage is published again');
      this.isAway = false;
    } catch (err) {
      if (!this.isAway) logger.warn({ err }, 'usage cannot be published now; it waits, and what is too much is dropped');
      this.isAway = true;
    }
  }

  /** The verifier gives the same principal for the same token, so that each is hashed once. */
  private personOf(principal: Principal): string {
    const known = this.persons.get(principal);
    if (known) return known;
    const { workspaceId, subject } = principal;
    const person = createHmac('sha256', this.salt).update(`${workspaceId}:${subject}`).digest('base64url').slice(0, 22);
    this.persons.set(principal, person);
    return person;
  }
}

const durationOf = (ms: number): string => {
  const below = durations.find((limit) => ms < limit);
  return below === undefined ? `${durations.at(-1)} ms or more` : `below ${below} ms`;
};
