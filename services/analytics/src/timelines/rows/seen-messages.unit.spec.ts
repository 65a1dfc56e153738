import { v4 as uuidv4, v7 as uuidv7 } from 'uuid';
import { expect, it } from 'vitest';
import { messageDigest } from './seen-messages.js';

const minuteOf = (digest: bigint): bigint => BigInt.asUintN(64, digest) >> 48n;

// Broken by: a digest that is the same for two ids or two workspaces, or another one the second time.
it('tells ids and workspaces apart, in any spelling', () => {
  const id = uuidv7();
  const ids = [id, id.toUpperCase(), uuidv7(), uuidv4(), '', 'order-1', `${id} `];
  const digests = ids.flatMap((each) => [1, 2].map((workspace) => messageDigest(workspace, each)));
  expect(new Set(digests).size).toBe(2 * ids.length);
  expect(ids.flatMap((each) => [1, 2].map((workspace) => messageDigest(workspace, each)))).toEqual(digests);
  for (const digest of digests) expect(BigInt.asIntN(64, digest)).toBe(digest);
});

// Broken by: ids of one minute that are spread over the whole index, or a minute that is not the id's but that of the call.
it('keeps together what the ids of one time stand for', () => {
  const minuteMs = 2 ** 16;
  for (const minutes of [0, 1, 27_000_000, 2 ** 32 - 1]) {
    const first = minutes * minuteMs;
    const same = [first, first + 1, first + minuteMs - 1].map((msecs) => minuteOf(messageDigest(1, uuidv7({ msecs }))));
    expect(new Set(same)).toEqual(new Set([BigInt(minutes % 2 ** 16)]));
  }
});

// Broken by: ids without a time that all lie in one place.
it('spreads ids that tell no time', () => {
  const minutes = Array.from({ length: 100 }, () => minuteOf(messageDigest(1, uuidv4())));
  expect(new Set(minutes).size).toBeGreaterThan(90);
});
