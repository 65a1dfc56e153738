/**
 * A generator of a printed seed, so that a failed run can be run again: mulberry32
 * (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c).
 */
export interface SeededRandom {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** An integer in [0, below). */
  int(below: number): number;
  pick<T>(items: readonly T[]): T;
}

/** The seed is PCA_SEED when set, else the clock's; it is printed, because a failure without it cannot be repeated. */
export const seededRandom = (name: string): SeededRandom => {
  const seed = Number(process.env['PCA_SEED'] ?? Date.now() % 2 ** 31);
  process.stdout.write(`seed of ${name}: ${seed}\n`);
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return { seed, next, int, pick: (items) => items[int(items.length)] as (typeof items)[number] };
};
