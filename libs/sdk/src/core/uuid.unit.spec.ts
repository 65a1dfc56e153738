import { seededRandom } from '@pca/testing';
import { expect, it } from 'vitest';
import { uuidTimeMs, uuidv7 } from './uuid.js';

// Broken by: random bits that overwrite version or variant, a counter that overflows within a millisecond, a clock that is set back.
it('makes ids of version 7 that sort in the order in which they were made, whatever the clock does', () => {
  const random = seededRandom('uuid');
  let nowMs = 1_700_000_000_000;
  let [firstMs, highestMs] = [0, 0];
  const ids: string[] = [];
  for (let index = 0; index < 30_000; index++) {
    if (random.int(10) === 0) nowMs += random.int(2_000) - 900;
    firstMs ||= nowMs;
    highestMs = Math.max(highestMs, nowMs);
    ids.push(uuidv7(nowMs));
  }
  for (let index = 0; index < 10_000; index++) ids.push(uuidv7(nowMs));
  expect(ids.filter((id) => !/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toEqual([]);
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  expect(uuidTimeMs(ids[0]!)).toBe(firstMs);
  // 10,000 in one millisecond borrow from the next two.
  expect(uuidTimeMs(ids.at(-1)!) - highestMs).toBeLessThanOrEqual(10);
});
