import { limits } from './limits.js';
import type { Store } from './store.js';
import { uuidv7 } from './uuid.js';

interface Session {
  id: string;
  lastEventMs: number;
  campaign?: unknown;
}

/** Who the person in front of this program is. All of it is in the store, so that the tabs of a browser agree. */
export class Identity {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get userId(): string | undefined {
    return this.#store.read('user');
  }

  get anonymousId(): string {
    const known = this.#store.read('anonymous');
    if (known) return known;
    const made = uuidv7();
    this.#store.write('anonymous', made);
    return made;
  }

  /** Another user on the same device is another person: a common anonymous id would make one of the two. */
  become(userId: string): void {
    if (this.userId && this.userId !== userId) this.reset();
    this.rename(userId);
  }

  /** The same person by another id. */
  rename(userId: string): void {
    this.#store.write('user', userId);
  }

  /** The session that an event belongs to; 30 minutes without one end it. Its campaign is the last that led here. */
  session(nowMs: number, campaign: unknown): Pick<Session, 'id' | 'campaign'> {
    const last = this.#last();
    const id = last && nowMs - last.lastEventMs <= limits.sessionIdleMs ? last.id : uuidv7();
    const session: Session = { id, lastEventMs: nowMs, campaign: campaign ?? (last?.id === id ? last.campaign : undefined) };
    this.#store.write('session', JSON.stringify(session));
    return session;
  }

  reset(): void {
    for (const name of ['user', 'anonymous', 'session']) this.#store.write(name, undefined);
  }

  #last(): Session | undefined {
    try {
      return JSON.parse(this.#store.read('session') ?? '') as Session;
    } catch {
      return undefined;
    }
  }
}
