export interface Random {
  readonly seed: number;
  /** From 0 inclusive to 1 exclusive. */
  next(): number;
  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
}

/** Random numbers that a failed run can be given again: SEED=… repeats it, and the seed is printed if it has a name. (mulberry32) */
export const randomFrom = (what: string | undefined, seed = Number(process.env.SEED) || Math.floor(Math.random() * 2 ** 31)): Random => {
  if (what !== undefined) process.stdout.write(`${what}: SEED=${seed}\n`);
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return { seed, next, below, chance: (probability) => next() < probability, pick: (items) => items[below(items.length)]! };
};
