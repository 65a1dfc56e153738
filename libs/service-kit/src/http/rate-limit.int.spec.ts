import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { freePort, requires } from '@pca/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { RateLimitStore } from './rate-limit.js';

const stores: RateLimitStore[] = [];
const open = (redisUrl?: string): RateLimitStore => {
  const store = RateLimitStore.open({ points: 5, windowSeconds: 60 }, redisUrl, () => undefined);
  stores.push(store);
  return store;
};
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
});

const takeMany = async (take: () => Promise<void>, n: number): Promise<string[]> =>
  (await Promise.allSettled(Array.from({ length: n }, take))).map((result) =>
    result.status === 'fulfilled' ? 'taken' : (result.reason as { code: string }).code,
  );
const countOf = (results: string[], what: string): number => results.filter((result) => result === what).length;

it('lets a key have its budget, says when to come back, and does not mix keys', async () => {
  const store = open();
  const results = await takeMany(() => store.take('a'), 8);
  expect([countOf(results, 'taken'), countOf(results, 'RATE_LIMITED')]).toEqual([5, 3]);
  await expect(store.take('a')).rejects.toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterSeconds: expect.closeTo(60, -1) } });
  await expect(store.take('b')).resolves.toBeUndefined();
});

// Broken by: points that count as one, a question that takes some, or a refusal that costs nothing and is asked for again at once.
it('takes several points at once, and tells without taking any whether a key is overdrawn', async () => {
  const store = open();
  await store.take('a', 3);
  for (let n = 0; n < 10; n += 1) await store.take('a', 0);
  await expect(store.take('a', 3)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  for (const points of [0, 1]) await expect(store.take('a', points)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  await store.take('b', 5);
  await store.take('b', 0);
});

const hasRedis = requires(
  'rate limit shared over Redis',
  spawnSync('redis-server', ['--version']).status === 0,
  'there is no redis-server',
);

describe.skipIf(!hasRedis)('with Redis', () => {
  const startRedis = async (port: number): Promise<ChildProcess> => {
    const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']);
    await new Promise<void>((resolve, reject) => {
      redis.stdout.on('data', (chunk: Buffer) => chunk.toString().includes('Ready to accept connections') && resolve());
      redis.once('exit', () => reject(new Error('redis-server ended')));
    });
    return redis;
  };

  it('shares a budget between gateways, and each counts by itself while Redis is away', async () => {
    const port = await freePort();
    const redis = await startRedis(port);
    try {
      const [one, two] = [open(`redis://127.0.0.1:${port}`), open(`redis://127.0.0.1:${port}`)];
      let tries = 0;
      const isShared = async (): Promise<boolean> => {
        const key = `warm ${tries++}`;
        await takeMany(() => one.take(key), 5);
        return two.take(key).then(
          () => false,
          () => true,
        );
      };
      await expect.poll(isShared, { message: 'both are connected' }).toBe(true);
      const results = [...(await takeMany(() => one.take('shared'), 4)), ...(await takeMany(() => two.take('shared'), 4))];
      expect([countOf(results, 'taken'), countOf(results, 'RATE_LIMITED')]).toEqual([5, 3]);
    } finally {
      redis.kill('SIGKILL');
      await new Promise((resolve) => redis.once('exit', resolve));
    }
    const results = await takeMany(() => stores[0]?.take('alone') ?? Promise.reject(new Error('no store')), 8);
    expect([countOf(results, 'taken'), countOf(results, 'RATE_LIMITED')]).toEqual([5, 3]);
  });
});
