const firstMs = 100;
const longestMs = 10_000;

/**
 * How long to wait before attempt `attempt` + 1, when `attempt` (from 1) have failed in a row: doubling from 100 ms to 10 s, and by chance
 * between half of that and all of it, so that the relays of all services do not come back in step. `random` gives 0 to 1.
 */
export const backOffMs = (attempt: number, random: () => number = Math.random): number => {
  const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 30));
  return ceiling / 2 + (random() * ceiling) / 2;
};
