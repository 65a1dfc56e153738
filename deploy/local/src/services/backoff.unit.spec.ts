import { expect, it } from 'vitest';
import { backoffMs } from './backoff.js';

it('doubles up to half a minute, the upper half of it by chance', () => {
  const bounds = [1, 2, 3, 7, 8, 1_000].map((attempt) => [backoffMs(attempt, () => 0), backoffMs(attempt, () => 1)]);
  expect(bounds).toEqual([
    [125, 250],
    [250, 500],
    [500, 1_000],
    [8_000, 16_000],
    [15_000, 30_000],
    [15_000, 30_000],
  ]);
});
