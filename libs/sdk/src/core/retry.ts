import { limits } from './limits.js';

/**
 * Exponential, half of it random, so that clients that failed together do not come back together.
 * @param failures in a row, from 1. @param random in [0, 1).
 */
export const retryDelayMs = (failures: number, random: number): number =>
  Math.min(limits.retryLastMs, limits.retryFirstMs * 2 ** (failures - 1)) * (0.5 + random / 2);

/** What a Retry-After header asks for: seconds or a date. 0 where it says nothing; never more than an hour. */
export const retryAfterMs = (header: string | null, nowMs: number): number => {
  const wait = header === null ? 0 : /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - nowMs;
  return Math.min(Math.max(wait || 0, 0), limits.retryAfterMs);
};
