import { expect, it } from 'vitest';
import { backOffMs } from './back-off.js';

it('doubles from 100 ms to 10 s, and spreads over the upper half', () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1000].map((attempt) => backOffMs(attempt, () => 1));
  expect(longest).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
  expect([1, 2, 9].map((attempt) => backOffMs(attempt, () => 0))).toEqual([50, 100, 5000]);
});
