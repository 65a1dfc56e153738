export type Properties = Record<string, unknown>;

/** An event as it is sent. */
export interface AnalyticsEvent {
  type: 'track' | 'page' | 'identify' | 'alias' | 'group';
  messageId: string;
  timestamp: string;
  event?: string;
  name?: string;
  userId?: string;
  anonymousId?: string;
  previousId?: string;
  groupId?: string;
  sessionId?: string;
  properties?: Properties;
  traits?: Properties;
  context: Properties;
}

export interface EventOptions {
  /** Whom the event is about, where it is not the remembered person. */
  userId?: string;
  anonymousId?: string;
  sessionId?: string;
  /** When it happened, if not now: history can be loaded. Such an event gets no session by itself. */
  timestamp?: Date | string | number;
  /** Laid over the context that the client finds. */
  context?: Properties;
}

/** Something that did not get through: for good, where it names events. */
export interface SdkError {
  /**
   * INVALID_EVENT and EVENT_TOO_LARGE: never queued. QUEUE_FULL: the oldest made way. EXPIRED: waited for 28 days. REFUSED: the server takes
   * the request not (wrong key, say). STORAGE_FAILED: events are kept, in memory alone. UNSENT: no server took them, which is tried again; said
   * once until one does. Anything else is the server's code for one event.
   */
  code: string;
  message: string;
  /** Of the answer, where there was one. */
  status?: number;
  /** What is lost by it. */
  events: AnalyticsEvent[];
}

export interface ClientOptions {
  /** Of the server, with its scheme: `https://events.example.com`. Where a proxy passes it on below a path, with that path. */
  endpoint: string;
  /** The write-only ingest key. It is no secret. */
  writeKey: string;
  /** Longest that an event waits for others to be sent with, milliseconds. */
  flushIntervalMs?: number;
  /** Longest wait for an answer, milliseconds. */
  requestTimeoutMs?: number;
  /** Events that wait at most; then the oldest is dropped. */
  queueEventsMax?: number;
  /** Sent with every event. */
  context?: Properties;
  /** Called for everything that is lost or held up; a warning on the console where it is not given. */
  onError?: (error: SdkError) => void;
}

/**
 * Calls never throw or reject. They answer with the messageId once the event is kept durably, and with undefined when it was not taken:
 * because of consent, or for a reason that went to `onError`.
 */
export interface Client {
  track(event: string, properties?: Properties, options?: EventOptions): Promise<string | undefined>;
  page(name?: string, properties?: Properties, options?: EventOptions): Promise<string | undefined>;
  /** Says who the person is. Another user than the one before starts with a new anonymous id and session. */
  identify(userId: string, traits?: Properties, options?: EventOptions): Promise<string | undefined>;
  /** Says that `previousId` (the person so far, if not given) and `userId` are one. */
  alias(userId: string, previousId?: string, options?: EventOptions): Promise<string | undefined>;
  group(groupId: string, traits?: Properties, options?: EventOptions): Promise<string | undefined>;
  /** Forgets the person, as after a logout. What is queued is still sent. */
  reset(): void;
  /** Sends what waits, now. True when nothing waits any more; false when the server is away or wants a pause: it is tried again later. */
  flush(): Promise<boolean>;
  /** The person agrees. */
  optIn(): void;
  /** The person does not agree (any more): forgets ids and queue, and takes no more events. */
  optOut(): void;
  /** Sends what waits and stops timers and listeners. What could not be sent stays in the durable queue. */
  close(): Promise<void>;
}
