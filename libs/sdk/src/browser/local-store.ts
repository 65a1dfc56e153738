import type { Store } from '../core/store.js';

const theLocalStorage = (): Storage | undefined => {
  try {
    // Reading shows what access alone does not: that its file is broken.
    localStorage.getItem('');
    return localStorage;
  } catch {
    return undefined;
  }
};

/**
 * localStorage, shared by all tabs of the site: a key for each event, so that tabs never write over each other and no tab owns what another
 * may have to send. What does not fit, or is forbidden here, is kept by this tab alone.
 */
export class LocalStore implements Store {
  readonly #prefix: string;
  readonly #onFault: (reason: string) => void;
  readonly #storage = theLocalStorage();
  readonly #memory = new Map<string, string>();
  /** Of events by their keys, which never change: asking for the size does not read what is known already. */
  #lengths = new Map<string, number>();
  #isReported = false;

  constructor(name: string, onFault: (reason: string) => void) {
    this.#prefix = `pca:${name}:`;
    this.#onFault = onFault;
  }

  read(name: string): string | undefined {
    return this.#get(this.#prefix + name);
  }

  write(name: string, value: string | undefined): void {
    if (value === undefined) this.#delete(this.#prefix + name);
    else this.#set(this.#prefix + name, value);
  }

  add(id: string, event: string): void {
    this.#set(this.#eventPrefix + id, event);
    this.#lengths.set(this.#eventPrefix + id, event.length);
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) this.#delete(this.#eventPrefix + id);
  }

  *waiting(): Iterable<readonly [id: string, event: string]> {
    for (const key of this.#keys(this.#eventPrefix).sort()) {
      const event = this.#get(key);
      if (event) yield [key.slice(this.#eventPrefix.length), event];
    }
  }

  size(): { count: number; characters: number } {
    const keys = this.#keys(this.#eventPrefix);
    // Other tabs add and remove too: what is not there any more is forgotten.
    this.#lengths = new Map(keys.map((key) => [key, this.#lengths.get(key) ?? this.#get(key)?.length ?? 0]));
    return { count: keys.length, characters: [...this.#lengths.values()].reduce((sum, length) => sum + length, 0) };
  }

  clear(keep: string): void {
    for (const key of this.#keys(this.#prefix)) if (key !== this.#prefix + keep) this.#delete(key);
  }

  async saved(): Promise<void> {
    // localStorage is written before its call returns.
  }

  get #eventPrefix(): string {
    return `${this.#prefix}e:`;
  }

  #keys(prefix: string): string[] {
    return [...Object.keys(this.#storage ?? {}), ...this.#memory.keys()].filter((key) => key.startsWith(prefix));
  }

  #get(key: string): string | undefined {
    return this.#memory.get(key) ?? this.#storage?.getItem(key) ?? undefined;
  }

  #set(key: string, value: string): void {
    try {
      if (!this.#storage) throw new Error('localStorage is forbidden here');
      this.#storage.setItem(key, value);
      this.#memory.delete(key);
    } catch (error) {
      this.#memory.set(key, value);
      if (!this.#isReported) this.#onFault(String(error));
      this.#isReported = true;
    }
  }

  #delete(key: string): void {
    this.#memory.delete(key);
    this.#storage?.removeItem(key);
  }
}
