import { describe, expect, it } from 'vitest';
import { limits } from './limits.js';
import { retryAfterMs, retryDelayMs } from './retry.js';

describe('back-off', () => {
  // Broken by: a delay without jitter (all clients come back at once) or without an end (nobody comes back).
  it('doubles up to a minute, half of it random', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 100].map((failures) => retryDelayMs(failures, 0))).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
    ]);
    expect([1, 7, 2_000].map((failures) => retryDelayMs(failures, 0.999999))).toEqual([
      expect.closeTo(1_000, 0),
      expect.closeTo(60_000, 0),
      expect.closeTo(60_000, 0),
    ]);
  });

  // Broken by: a header of a proxy that speaks dates, or one that would silence a client for a year.
  it('reads Retry-After as seconds or date, an hour at most', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(
      [null, '', 'soon', '0', '7', '-5', 'Thu, 01 Jan 2026 00:00:09 GMT', 'Thu, 01 Jan 2025 00:00:00 GMT', '999999999'].map((header) =>
        retryAfterMs(header, now),
      ),
    ).toEqual([0, 0, 0, 0, 7_000, 0, 9_000, 0, limits.retryAfterMs]);
  });
});
