import type { BusMessage } from '@pca/contracts';
import { isDomainError } from '@pca/errors';
import { decodeMessage, type EventPublisher } from '@pca/event-bus';
import type pg from 'pg';
import { backOffMs } from './back-off.js';
import { type OutboxRow, RelaySession } from './relay-session.js';

/** Where the relay reports what it does, for metrics. None of these may throw. */
export interface OutboxRelayObserver {
  /** So many messages were published and removed, in so many seconds. */
  relayed?(messages: number, seconds: number): void;
  /** A row that can never be published was taken out of the way, and its event is not on the bus: somebody must act. */
  buried?(row: { readonly id: string; readonly topic: string }, reason: string): void;
  /** This instance became the one that relays, or stopped being it. */
  leading?(leads: boolean): void;
}

export interface OutboxRelayOptions {
  /** The service's pool; the relay keeps one of its connections for as long as it runs, as a stand-by too. */
  readonly pool: pg.Pool;
  readonly publisher: EventPublisher;
  /** Every failure, with how many there were in a row and when it is tried again. Nothing is lost by one. */
  readonly onError: (error: unknown, retry: { readonly attempt: number; readonly retryInMs: number }) => void;
  /** How often to look for rows that nobody nudged about (of other instances), and for the lock when another instance has it. */
  readonly pollMs?: number;
  /** Rows published and removed at a time. */
  readonly batchSize?: number;
  /** How long `stop` goes on relaying what is left. */
  readonly drainMsMax?: number;
  readonly observer?: OutboxRelayObserver;
}

// Half of what the bus takes in one call, since a page may be over by one message.
const pageBytesMax = 4 * 1024 * 1024;
/** What the bus answers to a message that it will never take. */
const refusals: ReadonlySet<string> = new Set(['PAYLOAD_TOO_LARGE', 'BAD_USER_INPUT']);

/**
 * Publishes what the outbox holds, in the order of the ids, and removes exactly what the bus acknowledged.
 *
 * - **At least once.** A crash between the acknowledgement and the removal publishes a page again, with the same event ids.
 * - **Order per key.** Nothing is published before everything that came before it is on the bus, also after a failure: a failed page is
 *   read and published again from its start. Of several instances one relays and the others stand by. When it loses its connection while it
 *   publishes, the next one may publish the same page at the same time; since it too begins at the oldest row, the first appearance of each
 *   event keeps its place, and what follows are repeats.
 * - A row that can never be published (a message over a limit that was lowered, a row written by hand) is moved to `outbox_dead` once the
 *   bus has refused it alone, so that it does not hold back what is behind it for ever; it can be put back. An unreachable bus moves nothing.
 */
export class OutboxRelay {
  private running: Promise<void> | undefined;
  private stopping = false;
  private drainUntil = 0;
  private nudged = false;
  private wake: { readonly byNudge: boolean; readonly now: () => void } | undefined;
  private attempt = 0;

  constructor(private readonly options: OutboxRelayOptions) {}

  /** Relays until `stop`. Faults, the first one included, go to `onError`; it never throws. */
  start(): void {
    this.running ??= this.run();
  }

  /** Says that a transaction with events has committed. */
  nudge(): void {
    this.nudged = true;
    if (this.wake?.byNudge) this.wake.now();
  }

  /**
   * Relays what is left, unless that fails or takes too long, and gives the connection back. What remains is published by the next start.
   */
  async stop(): Promise<void> {
    this.drainUntil = performance.now() + (this.options.drainMsMax ?? 5_000);
    this.stopping = true;
    this.wake?.now();
    await this.running;
  }

  /** How many events wait to be published. */
  async depth(): Promise<number> {
    const { rows } = await this.options.pool.query<{ depth: string }>('select count(*) as depth from outbox');
    return Number(rows[0]?.depth ?? 0);
  }

  /** How long the oldest event has waited, by the clock of the database; 0 when none waits. */
  async oldestAgeSeconds(): Promise<number> {
    const { rows } = await this.options.pool.query<{ age: number }>(
      'select extract(epoch from clock_timestamp() - enqueued_at)::float8 as age from outbox order by id limit 1',
    );
    return Math.max(0, rows[0]?.age ?? 0);
  }

  private async run(): Promise<void> {
    for (;;) {
      // Stopped while it waits to try again, it tries once more: what is left would else wait for the next start.
      const isLastTry = this.stopping;
      try {
        await this.relay();
        return;
      } catch (error) {
        this.attempt += 1;
        const retryInMs = backOffMs(this.attempt);
        this.options.onError(error, { attempt: this.attempt, retryInMs });
        if (isLastTry) return;
        await this.pause(retryInMs, false);
      }
    }
  }

  /** On one connection, until something fails: another instance, to which the bus may answer, takes over for the time of the back-off. */
  private async relay(): Promise<void> {
    const session = await RelaySession.open(this.options.pool);
    let leads = false;
    try {
      for (;;) {
        this.nudged = false;
        if (!leads && (leads = await session.tryLead())) this.options.observer?.leading?.(true);
        const relayed = leads ? await this.relayPage(session) : 0;
        this.attempt = 0;
        if (this.stopping && (relayed === 0 || performance.now() > this.drainUntil)) return;
        if (relayed === 0 && !(leads && this.nudged)) await this.pause(this.options.pollMs ?? 250, leads);
      }
    } finally {
      session.close();
      if (leads) this.options.observer?.leading?.(false);
    }
  }

  private async relayPage(session: RelaySession): Promise<number> {
    const rows = await session.page(this.options.batchSize ?? 500, pageBytesMax);
    if (rows.length > 0) await this.relayRows(session, rows);
    return rows.length;
  }

  /**
   * Publishes rows in their order and removes them. What the bus refuses for good is parted until the rows that it refuses stand alone: a
   * refused call has stored nothing, so nothing overtakes anything.
   */
  private async relayRows(session: RelaySession, rows: readonly OutboxRow[]): Promise<void> {
    const started = performance.now();
    const refusal = await this.publish(rows);
    const [first] = rows;
    if (refusal === undefined) {
      await session.remove(rows);
      this.options.observer?.relayed?.(rows.length, (performance.now() - started) / 1000);
    } else if (first && rows.length === 1) {
      await session.bury(first, refusal);
      this.options.observer?.buried?.({ id: first.id, topic: first.topic }, refusal);
    } else {
      const half = rows.length >> 1;
      await this.relayRows(session, rows.slice(0, half));
      await this.relayRows(session, rows.slice(half));
    }
  }

  /** Why it can never succeed, if that is so; throws when it may later. */
  private async publish(rows: readonly OutboxRow[]): Promise<string | undefined> {
    let messages: BusMessage[];
    try {
      messages = rows.map(({ topic, message }) => decodeMessage(topic, message));
    } catch (error) {
      return String(error);
    }
    try {
      await this.options.publisher.publish(messages);
      return undefined;
    } catch (error) {
      if (isDomainError(error) && refusals.has(error.code)) return `${error.code}: ${error.message}`;
      throw error;
    }
  }

  private pause(ms: number, byNudge: boolean): Promise<void> {
    if (this.stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const now = () => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve();
      };
      const timer = setTimeout(now, ms);
      this.wake = { byNudge, now };
    });
  }
}
