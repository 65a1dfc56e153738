import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, requires } from '@pca/testing';
import { describe, expect, it } from 'vitest';
import { startFixtures, startGateway } from './gateway-harness.js';

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

describe.skipIf(!requires('Redis', hasRedis, 'there is no redis-server'))('with Redis', () => {
  it('counts the requests of a token over all gateways, and by itself while Redis is away', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pca-redis-'));
    const port = await freePort();
    const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const line of redis.stdout.setEncoding('utf8') as AsyncIterable<string>)
      if (line.includes('Ready to accept connections')) break;
    const fixtures = await startFixtures();
    const env = { REDIS_URL: `redis://127.0.0.1:${port}`, RATE_REQUESTS_MAX: '4' };
    const gateways = [await startGateway(fixtures, env), await startGateway(fixtures, env)];
    const tokenOf = (subject: string): Promise<string> => fixtures.issuer.issue({ role: 'admin', subject });
    const shared = await tokenOf('shared');
    const ask = async (n: number, token = shared): Promise<number> =>
      (await gateways[n % 2]!.graph('{ campaigns(limit: 1) { id } }', {}, { authorization: `Bearer ${token}` })).status;
    let warm = 0;
    /** Until both are connected, each counts by itself. */
    const isShared = async (): Promise<boolean> => {
      const token = await tokenOf(`warm ${(warm += 1)}`);
      for (let n = 0; n < 4; n++) await ask(0, token);
      return (await ask(1, token)) === 429;
    };
    try {
      await expect.poll(isShared).toBe(true);
      const statuses: number[] = [];
      for (let n = 0; n < 6; n++) statuses.push(await ask(n));
      expect(statuses).toEqual([200, 200, 200, 200, 429, 429]);
      redis.kill('SIGKILL');
      await once(redis, 'exit');
      await expect.poll(() => ask(1)).toBe(200);
    } finally {
      redis.kill('SIGKILL');
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await fixtures.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
