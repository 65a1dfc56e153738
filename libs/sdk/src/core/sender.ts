import type { ClientOptions, SdkError } from './client-types.js';
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
  /** Whether it is from our server: proxies and firewalls on the way speak for themselves. */
  isOurs: boolean;
  /** What it says: of our server's problems the words for people. */
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

/** What our server says when something is wrong. */
const problemOf = (text: string): { detail?: string } | undefined => {
  try {
    const problem = JSON.parse(text) as { code?: unknown; detail?: string } | null;
    return typeof problem?.code === 'string' ? problem : undefined;
  } catch {
    return undefined;
  }
};

/** Gets the queue to the server. An event leaves it when an answer says so, and for no other reason. */
export class Sender {
  readonly #options: Pick<ClientOptions, 'endpoint' | 'writeKey' | 'requestTimeoutMs'>;
  readonly #queue: EventQueue;
  readonly #store: Store;
  readonly #consent: Consent;
  readonly #network: Network;
  readonly #onError: (error: SdkError) => void;
  /** Ids in requests that may outlive the page, since it was last hidden. */
  readonly #handedOver = new Set<string>();
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<boolean> | undefined;
  #closed = false;

  constructor(
    options: Pick<ClientOptions, 'endpoint' | 'writeKey' | 'requestTimeoutMs'>,
    parts: { queue: EventQueue; store: Store; consent: Consent; network: Network; onError: (error: SdkError) => void },
  ) {
    this.#options = options;
    this.#queue = parts.queue;
    this.#store = parts.store;
    this.#consent = parts.consent;
    this.#network = parts.network;
    this.#onError = parts.onError;
  }

  /** Sends in a while, or now when a batch is full. A pause after a failure is not shortened. */
  soon(delayMs: number): void {
    if (this.#closed) return;
    if (this.#queue.length >= limits.batchEvents && !this.#failures && !this.#pauseMs()) void this.flush();
    else if (!this.#timer) this.#wakeIn(delayMs, false);
  }

  /** See `Client.flush`. Callers at the same time share one run. @param isRetry by itself, after a failure. */
  flush(isRetry = false): Promise<boolean> {
    // Before anything else, because this may be the timer: if it stayed, the next event would take it for one that is still to come.
    this.#stopTimer();
    if (this.#sending) return this.#sending;
    // Later, because a run that ends takes this promise away again.
    this.#sending = Promise.resolve().then(() => this.#network.exclusively(() => this.#drain(isRetry)));
    return this.#sending;
  }

  /** The network is back: what failed before says nothing about now. */
  networkIsBack(): void {
    this.#hasAnswer();
    void this.flush();
  }

  /**
   * The page may go away: hands over what fits. It stays in the queue, because nobody may be there to read the answer; whoever sends it
   * again sends the same messageId, which the server counts once.
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

  async #drain(isRetry: boolean): Promise<boolean> {
    let countMax: number = limits.batchEvents;
    const { leftMs } = this.#backOff();
    if (isRetry && leftMs) return this.#done(false, leftMs);
    for (;;) {
      if (!this.#consent.given()) return this.#done(true);
      const pauseMs = this.#pauseMs();
      if (pauseMs) return this.#done(false, pauseMs);
      const batch = this.#queue.take(limits.batchBytes - this.#body([]).length, countMax);
      if (!batch.ids.length) return this.#done(true);
      const answer = await this.#post(batch, false);
      // Some proxy on the way takes less than the server.
      if (answer.status === 413 && batch.ids.length > 1) countMax = batch.ids.length >> 1;
      else if (!this.#settle(batch, answer)) {
        this.#tellOnce(answer);
        return this.#done(false, this.#backOffMore());
      }
    }
  }

  /** Ends a run at once, so that a flush after the last look at the queue begins another one. */
  #done(isEmpty: boolean, wakeInMs?: number): boolean {
    this.#sending = undefined;
    if (wakeInMs !== undefined) this.#wakeIn(wakeInMs, true);
    return isEmpty;
  }

  /** Of many failures in a row the first: a wrong address, say, looks the same as a server that is away, and only a person can tell. */
  #tellOnce({ status, text }: Answer): void {
    if (this.#failures) return;
    const said = status ? `answered ${status}: ${text.slice(0, 200)}` : 'gave no answer';
    const message = `${this.#url} ${said}; events wait (${this.#queue.length}) and are sent again`;
    this.#onError({ code: 'UNSENT', message, ...(status && { status }), events: [] });
  }

  /** Whether the batch is done with, for better or worse. */
  #settle(batch: Batch, { status, text, isOurs, retryAfterMs: waitMs }: Answer): boolean {
    const refuses = status >= 400 && status < 500 && status !== 408 && status !== 429;
    // 413 is here when the event is alone: whoever finds it too large would stop all that wait behind it.
    if (refuses && (isOurs || status === 413)) {
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
    this.#hasAnswer();
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
      const text = await response.text();
      const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
      const problem = isProblem ? problemOf(text) : undefined;
      return { status: response.status, retryAfterMs: waitMs, isOurs: !!problem, text: problem?.detail ?? text };
    } catch {
      return { status: 0, retryAfterMs: 0, isOurs: false, text: '' };
    }
  }

  get #url(): string {
    return `${String(this.#options.endpoint).replace(/\/+$/, '')}/v1/batch`;
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

  /**
   * Of all that share the store: if each tab had one of its own, a server that is away would be tried as many times. Who retries first
   * does so for all, and the others find here what became of it.
   */
  #backOff(): { failures: number; leftMs: number } {
    const [failures = 0, atMs = 0] = (this.#store.read('retry') ?? '').split(' ').map(Number);
    const leftMs = atMs - Date.now();
    return { failures: failures || 0, leftMs: leftMs > 0 && leftMs <= limits.retryLastMs ? leftMs : 0 };
  }

  #backOffMore(): number {
    this.#failures = Math.max(this.#failures, this.#backOff().failures) + 1;
    const delayMs = retryDelayMs(this.#failures, Math.random());
    // The person may have said no while the answer was on its way: then nothing is stored.
    if (this.#consent.given()) this.#store.write('retry', `${this.#failures} ${Date.now() + delayMs}`);
    void this.#store.saved();
    return delayMs;
  }

  #hasAnswer(): void {
    this.#failures = 0;
    if (this.#store.read('retry')) this.#store.write('retry', undefined);
  }

  #wakeIn(delayMs: number, isRetry: boolean): void {
    this.#stopTimer();
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.flush(isRetry), delayMs);
    // Node: a program that is at its end stays for the first try, and not for a server that is away. A browser's timer is a number.
    if (isRetry) (this.#timer as { unref?: () => void }).unref?.();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
