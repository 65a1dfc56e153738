import { LRUCache } from 'lru-cache';

/** What an entry costs beside the characters of its key. */
const entryBytes = 128;

/** Numbers that stand for texts, in bounded memory; what is not there is asked for in bulk. */
export class NumberCache {
  private readonly known: LRUCache<string, number>;

  constructor(bytesMax: number) {
    this.known = new LRUCache({ maxSize: bytesMax, sizeCalculation: (_number, key) => key.length + entryBytes });
  }

  /**
   * The numbers of `items`, in their order. `ask` gets those that are not in memory, each key once; what has none is asked for again the next
   * time.
   */
  async numbers<T>(
    items: readonly T[],
    keyOf: (item: T) => string,
    ask: (missing: readonly T[]) => Promise<readonly (number | null)[]>,
  ): Promise<readonly (number | null)[]> {
    const missing = new Map<string, { readonly item: T; readonly places: number[] }>();
    const numbers = items.map((item, place) => {
      const key = keyOf(item);
      const number = this.known.get(key) ?? null;
      if (number !== null) return number;
      const same = missing.get(key);
      if (same) same.places.push(place);
      else missing.set(key, { item, places: [place] });
      return null;
    });
    if (missing.size === 0) return numbers;
    const asked = await ask([...missing.values()].map(({ item }) => item));
    for (const [i, [key, { places }]] of [...missing].entries()) {
      const number = asked[i] ?? null;
      if (number === null) continue;
      this.known.set(key, number);
      for (const place of places) numbers[place] = number;
    }
    return numbers;
  }
}
