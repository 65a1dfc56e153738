const firstMs = 250;
const longestMs = 30_000;

/**
 * How long to wait before the given attempt (1 is the first repetition): doubled each time up to half a minute, of which the upper half is
 * by chance, so that what fell together does not rise together. `random` is in [0, 1).
 */
export const backoffMs = (attempt: number, random: () => number = Math.random): number => {
  const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
};
