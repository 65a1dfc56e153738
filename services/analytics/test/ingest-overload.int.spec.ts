import { gzipSync } from 'node:zlib';
import { type PrivatePostgres, startPrivatePostgres } from '@pca/testing';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type IngestUnderTest, startIngest } from './ingest-under-test.js';

let busServer: PrivatePostgres;
let sut: IngestUnderTest;
let busUrl: string;
beforeAll(async () => {
  busServer = await startPrivatePostgres();
  busUrl = (await busServer.createDatabase()).url;
  sut = await startIngest({ BUS_URL: busUrl, INGEST_EVENTS_PER_SECOND_MAX: '100', INGEST_EVENTS_IN_FLIGHT_MAX: '50' });
});
afterAll(async () => {
  await sut.stop();
  await busServer.stop();
});

const send = (key: string, ids: readonly string[]): Promise<Response> =>
  sut.service.rest(key, 'POST', '/v1/batch', { batch: ids.map((messageId) => ({ type: 'track', event: 'e', userId: 'u', messageId })) });
const idsOf = (name: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${name}-${n}`);

// Broken by: a limit that all keys share, one that counts requests for events, or one that says nothing of when to come back.
it('limits the events of one key, and no other', async () => {
  const calm = await sut.ingestKey();
  /** Twelve batches of a key that was never used, and one event more; how long they took. */
  const flood = async () => {
    const { key } = await sut.ingestKey();
    const began = performance.now();
    const statuses: number[] = [];
    for (let n = 0; n < 12; n += 1) statuses.push((await send(key, idsOf(`flood-${n}`, 50))).status);
    return { statuses, refused: await send(key, ['one']), ms: performance.now() - began };
  };
  // A hundred a second, over five seconds: the eleventh batch is over it. What a machine that stood still spread over more is no flood.
  let flooding = await flood();
  while (flooding.ms > 4_900) flooding = await flood();
  const { statuses, refused } = flooding;
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 202), 429, 429]);
  expect([refused.status, await refused.json()]).toMatchObject([429, { code: 'RATE_LIMITED' }]);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect((await send(calm.key, idsOf('calm', 10))).status).toBe(202);
  const published = await sut.published();
  expect([published.has('flood-9-49'), published.has('flood-10-0'), published.has('calm-9')]).toEqual([true, false, true]);
});

// Broken by: a few bytes that cost as much as a batch and are counted as nothing, whether they can be read or not.
it.each([
  ['of no events', '{"batch":[],"more":["', '"]}', 202],
  ['of no batch', '{"more":["', '"]}', 400],
  ['of no JSON', '["', '"', 400],
  ['over the limit', '{"batch":[],"more":["', ' '.repeat(30_000), 413],
])('limits what is compressed and %s by its size', async (_name, begin, end, status) => {
  const { key } = await sut.ingestKey();
  const bomb = gzipSync(begin + 'x'.repeat(490_000) + end);
  const flood = async () => {
    const began = performance.now();
    const statuses: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      statuses.push((await sut.service.rest(key, 'POST', '/v1/batch', bomb, headers)).status);
    }
    return { statuses, ms: performance.now() - began };
  };
  // Five hundred events in five seconds are its budget, and each costs nearly as many.
  let flooding = await flood();
  while (flooding.ms > 4_900) flooding = await flood();
  expect(flooding.statuses.slice(0, 1)).toEqual([status]);
  expect(flooding.statuses.slice(2)).toEqual([429, 429]);
  expect(await send(key, ['one']).then((response) => response.status)).toBe(429);
});

// Broken by: holding all that comes while the bus is slow, letting go of what was promised, or one key that takes the room of all.
it('holds no more than it may while the bus is slow, and what it holds arrives', async () => {
  const { key } = await sut.ingestKey();
  const blocker = new pg.Client({ connectionString: busUrl });
  await blocker.connect();
  await blocker.query('begin; lock table bus.head in access exclusive mode');
  const held = send(key, idsOf('held', 40));
  // The next one finds no room as soon as the first is being held: when it waits for the lock.
  const waiting = `select from pg_locks where relation = 'bus.head'::regclass and not granted`;
  await expect.poll(async () => (await blocker.query(waiting)).rowCount).toBe(1);
  const refused = await send(key, idsOf('over', 11));
  expect([refused.status, Number(refused.headers.get('retry-after')), await refused.json()]).toMatchObject([
    503,
    1,
    { code: 'SERVICE_UNAVAILABLE' },
  ]);
  // There is room for one more, and it is not for the key that holds so much.
  expect((await send(key, idsOf('over', 1))).status).toBe(503);
  const calm = send((await sut.ingestKey()).key, idsOf('calm-while-slow', 10));
  await blocker.query('rollback');
  await blocker.end();
  expect((await held).status).toBe(202);
  expect((await calm).status).toBe(202);
  expect((await sut.published()).get('held-39')).toHaveLength(1);
});

// Broken by: 202 for what is nowhere, or a service that does not find its bus again.
it('says 503 while the bus is away, and takes the same events when it is back', async () => {
  const { key } = await sut.ingestKey();
  await busServer.kill();
  const refused = await send(key, idsOf('away', 5));
  expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toMatchObject([
    503,
    '1',
    { code: 'SERVICE_UNAVAILABLE' },
  ]);
  await busServer.start();
  await expect.poll(async () => (await send(key, idsOf('away', 5))).status).toBe(202);
  const published = await sut.published();
  for (const id of idsOf('away', 5)) expect(published.get(id)?.length).toBeGreaterThanOrEqual(1);
});
