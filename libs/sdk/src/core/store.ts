/**
 * What survives a reload or a restart: the queue of events that no server has confirmed yet, and small state by name. Nothing here throws:
 * where the durable place is full or away, values are kept in memory and the fault is reported once.
 */
export interface Store {
  read(name: string): string | undefined;
  /** Undefined forgets it. */
  write(name: string, value: string | undefined): void;

  /** @param id a UUIDv7, which orders the queue. @param event as JSON. */
  add(id: string, event: string): void;
  remove(ids: readonly string[]): void;
  /** Oldest first. */
  waiting(): Iterable<readonly [id: string, event: string]>;
  /** Of the queue; size in characters. */
  size(): { count: number; characters: number };

  /** Forgets the queue, and all state but the named. */
  clear(keep: string): void;
  /** Resolves when everything so far is as durable as it can be. */
  saved(): Promise<void>;
}
