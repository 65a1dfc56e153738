import type { AnalyticsEvent, Client, ClientOptions, EventOptions, Properties, SdkError } from './client-types.js';
import { Consent, type ConsentRules } from './consent.js';
import { EventQueue, type QueueLimits, utf8Bytes } from './event-queue.js';
import { Identity } from './identity.js';
import { limits } from './limits.js';
import { type Network, Sender } from './sender.js';
import type { Store } from './store.js';
import { uuidv7 } from './uuid.js';

/** What a platform brings. */
export interface Platform {
  store: Store;
  network: Network;
  queueLimits: QueueLimits;
  consentRules: ConsentRules;
  /** Whether there is one person in front of this program, to be remembered between calls. */
  remembers: boolean;
  /** What is known about page and device. */
  context(): Properties;
  /** What a page is called that got no name. */
  pageName?(): string;
  /** Called after the person agreed. */
  onOptIn?: () => unknown;
  /** Called when the client begins to close. */
  onClosing?: () => void;
  /** Takes back what the platform set up. */
  onClose?: () => Promise<void> | void;
  onError: (error: SdkError) => void;
}

type Content = Pick<AnalyticsEvent, 'type'> & Partial<AnalyticsEvent>;

/**
 * JSON knows no such numbers, and of an error it keeps nothing, or what the error itself thinks of: those of HTTP clients tell of a request
 * with its tokens.
 */
function asJson(this: Record<string, unknown>, name: string, value: unknown): unknown {
  const error = this[name];
  if (typeof value === 'bigint') return String(value);
  return error instanceof Error ? { name: error.name, message: error.message } : value;
}

const isId = (value: unknown): boolean => typeof value === 'string' && value !== '';

/** The client on any platform. */
export class TrackingClient implements Client {
  readonly sender: Sender;
  readonly consent: Consent;
  readonly #options: ClientOptions;
  readonly #platform: Platform;
  readonly #queue: EventQueue;
  readonly #identity: Identity | undefined;

  constructor(options: ClientOptions, platform: Platform) {
    if (!options.endpoint || !options.writeKey) throw new TypeError('createClient needs endpoint and writeKey');
    if (!/^https?:\/\/./.test(options.endpoint)) throw new TypeError(`endpoint begins with https:// or http://, not "${options.endpoint}"`);
    const { store, network, queueLimits } = platform;
    this.#options = options;
    this.#platform = platform;
    this.consent = new Consent(store, platform.consentRules);
    this.#identity = platform.remembers ? new Identity(store) : undefined;
    this.#queue = new EventQueue(store, { ...queueLimits, events: options.queueEventsMax ?? queueLimits.events }, platform.onError);
    this.sender = new Sender(options, { queue: this.#queue, store, consent: this.consent, network, onError: platform.onError });
    if (this.consent.given() && this.#queue.length) this.sender.soon(0);
  }

  track(event: string, properties: Properties = {}, options?: EventOptions): Promise<string | undefined> {
    return this.#add({ type: 'track', event, properties }, [event], options);
  }

  page(name?: string, properties: Properties = {}, options?: EventOptions): Promise<string | undefined> {
    const called = name ?? this.#platform.pageName?.();
    return this.#add({ type: 'page', ...(called && { name: called }), properties }, [], options);
  }

  identify(userId: string, traits: Properties = {}, options?: EventOptions): Promise<string | undefined> {
    if (isId(userId) && this.consent.given()) this.#identity?.become(userId);
    return this.#add({ type: 'identify', userId, traits }, [userId], options);
  }

  alias(userId: string, previousId?: string, options?: EventOptions): Promise<string | undefined> {
    const given = this.consent.given();
    const previous = previousId ?? (given ? (this.#identity?.userId ?? this.#identity?.anonymousId) : undefined);
    if (isId(userId) && given) this.#identity?.rename(userId);
    return this.#add({ type: 'alias', userId, ...(previous && { previousId: previous }) }, [userId, previous], options);
  }

  group(groupId: string, traits: Properties = {}, options?: EventOptions): Promise<string | undefined> {
    return this.#add({ type: 'group', groupId, traits }, [groupId], options);
  }

  reset(): void {
    this.#identity?.reset();
    void this.#platform.store.saved();
  }

  flush(): Promise<boolean> {
    return this.sender.flush();
  }

  optIn(): void {
    this.consent.optIn();
    void this.#platform.store.saved();
    this.#platform.onOptIn?.();
  }

  optOut(): void {
    this.consent.optOut();
    void this.#platform.store.saved();
  }

  async close(): Promise<void> {
    this.#platform.onClosing?.();
    await this.sender.close();
    await this.#platform.onClose?.();
  }

  /** @param named what must be a text that is not empty. Everything up to the answer happens at once: a page may go away after the call. */
  async #add(content: Content, named: unknown[], options: EventOptions = {}): Promise<string | undefined> {
    if (!this.consent.given()) return undefined;
    const nowMs = Date.now();
    const id = uuidv7(nowMs);
    let event: AnalyticsEvent = { ...content, messageId: id, timestamp: new Date(nowMs).toISOString(), context: {} };
    try {
      event = this.#complete(content, id, nowMs, options);
      if (!named.every(isId)) throw new TypeError(`${content.type} needs a name or id that is a text`);
      if (!event.userId && !event.anonymousId) throw new TypeError('an event needs userId or anonymousId among its options');
      const json = JSON.stringify(event, asJson);
      const bytes = utf8Bytes(json);
      if (bytes > limits.eventBytes) {
        this.#refuse('EVENT_TOO_LARGE', `The event has ${bytes} bytes; ${limits.eventBytes} are the limit`, event);
        return undefined;
      }
      this.#queue.add(id, json);
    } catch (error) {
      this.#refuse('INVALID_EVENT', String(error), event);
      return undefined;
    }
    this.sender.soon(this.#options.flushIntervalMs ?? 5_000);
    await this.#platform.store.saved();
    return id;
  }

  #complete(content: Content, messageId: string, nowMs: number, options: EventOptions): AnalyticsEvent {
    const found: Properties = { ...this.#platform.context(), ...this.#options.context, ...options.context };
    const isNow = options.timestamp === undefined || options.timestamp === null;
    const session = isNow ? this.#identity?.session(nowMs, found['campaign']) : undefined;
    return {
      userId: options.userId ?? this.#identity?.userId,
      anonymousId: options.anonymousId ?? this.#identity?.anonymousId,
      sessionId: options.sessionId ?? session?.id,
      ...content,
      messageId,
      timestamp: new Date(options.timestamp ?? nowMs).toISOString(),
      context: { ...found, ...(session?.campaign !== undefined && { campaign: session.campaign }) },
    } as AnalyticsEvent;
  }

  #refuse(code: string, message: string, event: AnalyticsEvent): void {
    this.#platform.onError({ code, message, events: [event] });
  }
}
