import type { AnalyticsEvent, SdkError } from './client-types.js';
import { limits } from './limits.js';
import type { Store } from './store.js';
import { uuidTimeMs } from './uuid.js';

export interface QueueLimits {
  events: number;
  /** Of all events as JSON. */
  characters: number;
}

export interface Batch {
  ids: string[];
  /** JSON. */
  events: string[];
  bytes: number;
}

export const utf8Bytes = (text: string): number => new TextEncoder().encode(text).length;

/** None where the text is no JSON. */
const parsed = (event: string): AnalyticsEvent[] => {
  try {
    return [JSON.parse(event) as AnalyticsEvent];
  } catch {
    return [];
  }
};

/** The events that wait: bounded in number, size and age. */
export class EventQueue {
  readonly #store: Store;
  readonly #limits: QueueLimits;
  readonly #onError: (error: SdkError) => void;

  constructor(store: Store, queueLimits: QueueLimits, onError: (error: SdkError) => void) {
    this.#store = store;
    this.#limits = queueLimits;
    this.#onError = onError;
  }

  get length(): number {
    return this.#store.size().count;
  }

  /** The oldest makes way where there is no room: what happens now tells more than what no server took for long. */
  add(id: string, event: string): void {
    let { count, characters } = this.#store.size();
    const dropped: Batch = { ids: [], events: [], bytes: 0 };
    if (count >= this.#limits.events || characters + event.length > this.#limits.characters) {
      for (const [oldId, oldEvent] of this.#store.waiting()) {
        if (count < this.#limits.events && characters + event.length <= this.#limits.characters) break;
        dropped.ids.push(oldId);
        dropped.events.push(oldEvent);
        count--;
        characters -= oldEvent.length;
      }
    }
    this.#store.add(id, event);
    this.drop(dropped, 'QUEUE_FULL', `More than ${this.#limits.events} events or ${this.#limits.characters} characters wait`);
  }

  /** The oldest events that fit. @param skip ids that are not wanted. */
  take(bytesMax: number, countMax: number = limits.batchEvents, skip?: ReadonlySet<string>): Batch {
    const batch: Batch = { ids: [], events: [], bytes: 0 };
    const expired: Batch = { ids: [], events: [], bytes: 0 };
    const unreadable: string[] = [];
    for (const [id, event] of this.#store.waiting()) {
      if (skip?.has(id)) continue;
      const bytes = utf8Bytes(event) + 1;
      if (!parsed(event).length) unreadable.push(id);
      else if (uuidTimeMs(id) < Date.now() - limits.eventAgeMs) {
        expired.ids.push(id);
        expired.events.push(event);
      } else if (batch.ids.length >= countMax || batch.bytes + bytes > bytesMax) break;
      else {
        batch.ids.push(id);
        batch.events.push(event);
        batch.bytes += bytes;
      }
    }
    this.remove(unreadable);
    this.drop(expired, 'EXPIRED', 'No server was reached within 28 days');
    return batch;
  }

  remove(ids: readonly string[]): void {
    if (!ids.length) return;
    this.#store.remove(ids);
    void this.#store.saved();
  }

  /** Removes and reports. */
  drop({ ids, events }: Batch, code: string, message: string, status?: number): void {
    if (!ids.length) return;
    this.remove(ids);
    this.#onError({ code, message, ...(status && { status }), events: events.flatMap(parsed) });
  }
}
