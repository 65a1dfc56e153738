import type { Store } from '../core/store.js';

/** A queue and state that end with the process. */
export class MemoryStore implements Store {
  protected readonly state = new Map<string, string>();
  protected readonly events = new Map<string, string>();
  #characters = 0;

  read(name: string): string | undefined {
    return this.state.get(name);
  }

  write(name: string, value: string | undefined): void {
    if (value === undefined) this.state.delete(name);
    else this.state.set(name, value);
  }

  add(id: string, event: string): void {
    this.#characters += event.length - (this.events.get(id)?.length ?? 0);
    this.events.set(id, event);
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) {
      this.#characters -= this.events.get(id)?.length ?? 0;
      this.events.delete(id);
    }
  }

  waiting(): Iterable<readonly [id: string, event: string]> {
    return this.events;
  }

  size(): { count: number; characters: number } {
    return { count: this.events.size, characters: this.#characters };
  }

  clear(keep: string): void {
    this.remove([...this.events.keys()]);
    for (const name of [...this.state.keys()]) if (name !== keep) this.write(name, undefined);
  }

  async saved(): Promise<void> {
    // There is nothing to wait for.
  }
}
