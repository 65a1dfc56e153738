import { LRUCache } from 'lru-cache';

/** What an entry costs beside the characters of its key. */
const entryBytes = 128;

/** Numbers that stand for texts, in bounded memory; what is not there is asked for in bulk. */
export class NumberCache {
  private readonly known: LRUCache<string, number>;

  constructor(bytesMax: number) {
    this.known = new LRUCache({ maxSize: bytesMax, sizeCalculation: (_number, key) => key.length + entryBytes });
  }

  /** The numbers of `wanted`, by key. `ask` gets what is not in memory; what has none is left out, and asked for again the next time. */
  async numbers<T>(
    wanted: ReadonlyMap<string, T>,
    ask: (missing: readonly T[]) => Promise<readonly (number | null)[]>,
  ): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    const missing: [key: string, item: T][] = [];
    for (const [key, item] of wanted) {
      const number = this.known.get(key);
      if (number === undefined) missing.push([key, item]);
      else found.set(key, number);
    }
    if (missing.length === 0) return found;
    const numbers = await ask(missing.map(([, item]) => item));
    for (const [i, [key]] of missing.entries()) {
      const number = numbers[i] ?? null;
      if (number === null) continue;
      this.known.set(key, number);
      found.set(key, number);
    }
    return found;
  }
}
