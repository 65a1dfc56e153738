import type { ClientOptions } from './client-types.js';
import type { Consent } from './consent.js';
import { type Batch, type EventQueue, utf8Bytes } from './event-queue.js';
import { limits } from './limits.js';
import { retryAfterMs, retryDelayMs } from './retry.js';
import type { Store } from './store.js';

/** What differs between browser and Node. */
export interface Network {
  /** Runs the work alone among all that share the store, where the platform can tell. Several at once do no harm but sending twice. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  /** Hands over what has to outlive the page, without an answer. Undefined where `fetch` can do that, with one. */
  handOver?: ((url: string, body: string) => void) | undefined;
}

interface Answer {
  /** 0 when there was none. */
  status: number;
  retryAfterMs: number;
  text: string;
}

interface ItemError {
  index: number;
  code: string;
  message: string;
}

const itemErrors = (text: string): ItemError[] => {
  try {
    return (JSON.parse(text) as { errors: (ItemError | null)[] }).errors.filter((item) => item !== null);
  } catch {
    return [];
  }
};

/** Gets the queue to the server. An event leaves it when an answer says so, and for no other reason. */
export class Sender {
  readonly #options: Pick<ClientOptions, 'endpoint' | 'writeKey' | 'requestTimeoutMs'>;
  readonly #queue: EventQueue;
  readonly #store: Store;
  readonly #consent: Consent;
  readonly #network: Network;
  /** Ids in requests that may outlive the page, since it was last hidden. */
  readonly #handedOver = new Set<string>();
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<boolean> | undefined;
  #closed = false;

  constructor(
    options: Pick<ClientOptions, 'endpoint' | 'writeKey' | 'requestTimeoutMs'>,
    parts: { queue: EventQueue; store: Store; consent: Consent; network: Network },
  ) {
    this.#options = options;
    this.#queue = parts.queue;
    this.#store = parts.store;
    this.#consent = parts.consent;
    this.#network = parts.network;
  }

  /** Sends in a while, or now when a batch is full. A pause after a failure is not shortened. */
  soon(delayMs: number): void {
    if (this.#closed) return;
    if (this.#queue.length >= limits.batchEvents && !this.#failures && !this.#pauseMs()) void this.flush();
    else if (!this.#timer) this.#wakeIn(delayMs, false);
  }

  /** See `Client.flush`. Callers at the same time share one run. */
  flush(): Promise<boolean> {
    if (this.#sending) return this.#sending;
    this.#stopTimer();
    // Later, because a run that ends takes this promise away again.
    this.#sending = Promise.resolve().then(() => this.#network.exclusively(() => this.#drain()));
    return this.#sending;
  }

  /** The network is back: what failed before says nothing about now. */
  networkIsBack(): void {
    this.#failures = 0;
    void this.flush();
  }

  /**
   * The page may go away: hands over what fits. It stays in the queue, because nobody may be there to read the answer; whoever sends it again
   * sends the same messageId, which the server counts once.
   */
  pageIsHidden(): void {
    if (!this.#consent.given() || this.#pauseMs()) return;
    for (let room: number = limits.beaconBytes; ;) {
      const batch = this.#queue.take(room - this.#body([]).length, limits.batchEvents, this.#handedOver);
      if (!batch.ids.length) return;
      room -= utf8Bytes(this.#body(batch.events));
      for (const id of batch.ids) this.#handedOver.add(id);
      if (this.#network.handOver) this.#network.handOver(this.#url, this.#body(batch.events));
      else void this.#post(batch, true).then((answer) => answer.status === 202 && this.#settle(batch, answer));
    }
  }

  pageIsBack(): void {
    this.#handedOver.clear();
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    this.#stopTimer();
  }

  async #drain(): Promise<boolean> {
    let countMax: number = limits.batchEvents;
    for (;;) {
      if (!this.#consent.given()) return this.#done(true);
      const pauseMs = this.#pauseMs();
      if (pauseMs) return this.#done(false, pauseMs);
      const batch = this.#queue.take(limits.batchBytes - this.#body([]).length, countMax);
      if (!batch.ids.length) return this.#done(true);
      const answer = await this.#post(batch, false);
      // Some proxy on the way takes less than the server.
      if (answer.status === 413 && batch.ids.length > 1) countMax = batch.ids.length >> 1;
      else if (!this.#settle(batch, answer)) return this.#done(false, retryDelayMs(++this.#failures, Math.random()));
    }
  }

  /** Ends a run at once, so that a flush after the last look at the queue begins another one. */
  #done(isEmpty: boolean, wakeInMs?: number): boolean {
    this.#sending = undefined;
    if (wakeInMs !== undefined) this.#wakeIn(wakeInMs, true);
    return isEmpty;
  }

  /** Whether the batch is done with, for better or worse. */
  #settle(batch: Batch, { status, text, retryAfterMs: waitMs }: Answer): boolean {
    if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
      this.#queue.drop(batch, 'REFUSED', `The server answered ${status}: ${text.slice(0, 200)}`, status);
    } else if (status === 202) {
      for (const { index, code, message } of itemErrors(text)) {
        const [id, event] = [batch.ids[index], batch.events[index]];
        if (id && event) this.#queue.drop({ ids: [id], events: [event], bytes: 0 }, code, message, status);
      }
      this.#store.write('pause', undefined);
      this.#queue.remove(batch.ids);
    } else {
      if (waitMs) this.#store.write('pause', String(Date.now() + waitMs * (1 + Math.random() / 10)));
      void this.#store.saved();
      return false;
    }
    this.#failures = 0;
    return true;
  }

  async #post(batch: Batch, keepalive: boolean): Promise<Answer> {
    try {
      // Text and without credentials: a CORS-simple request, which needs no question beforehand and works while a page goes away.
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'text/plain' },
        body: this.#body(batch.events),
        credentials: 'omit',
        keepalive,
        signal: AbortSignal.timeout(this.#options.requestTimeoutMs ?? 30_000),
      });
      const waitMs = retryAfterMs(response.headers.get('retry-after'), Date.now());
      return { status: response.status, retryAfterMs: waitMs, text: await response.text() };
    } catch {
      return { status: 0, retryAfterMs: 0, text: '' };
    }
  }

  get #url(): string {
    return `${this.#options.endpoint.replace(/\/+$/, '')}/v1/batch`;
  }

  #body(events: string[]): string {
    const head = JSON.stringify({ writeKey: this.#options.writeKey, sentAt: new Date().toISOString() });
    return `${head.slice(0, -1)},"batch":[${events.join()}]}`;
  }

  /** What is left of a pause that the server asked for. In the store, so that a reload or another tab does not break it. */
  #pauseMs(): number {
    const leftMs = Number(this.#store.read('pause') ?? 0) - Date.now();
    return leftMs > 0 && leftMs <= limits.retryAfterMs * 1.1 ? leftMs : 0;
  }

  #wakeIn(delayMs: number, isRetry: boolean): void {
    this.#stopTimer();
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.flush(), delayMs);
    // Node: a program that is at its end stays for the first try, and not for a server that is away. A browser's timer is a number.
    if (isRetry) (this.#timer as { unref?: () => void }).unref?.();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
