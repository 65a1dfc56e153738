import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { askGraphql, freePort, testIssuer, type TestIssuer, type TestPostgres, testPostgres } from '@pca/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { addEvents, dayMs, type Row } from './retention-rows.js';

const main = join(import.meta.dirname, '../dist/main.js');
let postgres: TestPostgres;
let issuer: TestIssuer;
let client: pg.Client;
/** Of somebody who has a hand on a row. */
let blocker: pg.Client;
let env: Record<string, string>;
let child: ChildProcess | undefined;
let output = '';

beforeAll(async () => {
  postgres = await testPostgres();
  issuer = await testIssuer();
  const { url } = await postgres.createDatabase();
  [client, blocker] = [new pg.Client(url), new pg.Client(url)];
  await Promise.all([client.connect(), blocker.connect()]);
  env = { PATH: process.env['PATH'] ?? '', DATABASE_URL: url, BUS_URL: (await postgres.createDatabase()).url, ...issuer.env };
});
afterEach(() => void child?.kill('SIGKILL'));
afterAll(async () => {
  await Promise.all([client.end(), blocker.end()]);
  await postgres.stop();
  await issuer.remove();
});

const startReady = async (): Promise<string> => {
  const port = await freePort();
  child = fork(main, { env: { ...env, PORT: String(port) }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const url = `http://127.0.0.1:${port}`;
  const ready = (): Promise<number> =>
    fetch(`${url}/health/ready`).then(
      (response) => response.status,
      () => 0,
    );
  await expect.poll(ready, { message: output }).toBe(200);
  return url;
};
const count = async (sql: string): Promise<number> => Number((await client.query<{ n: string }>(`select ${sql} as n`)).rows[0]?.n);

// Broken by: a state that is in memory only, a count that is kept beside the deletion, a lock that outlives its process.
it('goes on after a kill where it was, and counts every event once', async () => {
  const url = await startReady();
  const token = await issuer.issue({ role: 'owner' });
  const { rows } = await client.query<{ workspace: number; person: number }>(
    `with w as (insert into workspace (id) values ('demo') on conflict (id) do update set id = 'demo' returning number)
     insert into person (workspace, is_known, external_id) select number, true, id from w, unnest(array['ada', 'bob']) as i (id)
     returning workspace, id as person`,
  );
  const [ada, bob] = rows as [Omit<Row, 'at' | 'message' | 'session'>, Omit<Row, 'at' | 'message' | 'session'>];
  const today = Math.floor(Date.now() / dayMs);
  const at = (day: number): Date => new Date((today - 3 + day) * dayMs);
  const events = [1, 2, 3].flatMap((day) =>
    Array.from({ length: 6_000 }, (_, i): Row => ({ ...ada, session: 0, at: at(day), message: `${day}.${i}` })),
  );
  await addEvents(client, [...events, { ...bob, session: 0, at: at(2), message: 'of bob' }]);

  // Somebody has a hand on an event of the second day, so that the job stands there when it is killed.
  await blocker.query('begin');
  await blocker.query(`select from event where message = convert_to('2.5999', 'UTF8') for update`);
  const asked = await askGraphql<{ eraseUser: { id: string } }>(url, token, 'mutation { eraseUser(id: "ada") { id } }');
  expect(asked.errors).toEqual([]);
  const deleted = '(select events_deleted from erasure)';
  await expect.poll(() => count(deleted)).toBe(11_000);
  child?.kill('SIGKILL');
  await blocker.query('rollback');
  // In one snapshot: the server may still be at the last piece of who is dead.
  expect(await count(`${deleted} + (select count(*) from event)`)).toBe(18_001);

  const again = await startReady();
  const state = async (): Promise<unknown> =>
    (await askGraphql(again, token, 'query ($id: ID!) { erasure(id: $id) { state eventsDeleted } }', { id: asked.data?.eraseUser.id }))
      .data;
  await expect.poll(state, { message: output }).toEqual({ erasure: { state: 'WAITING_FOR_BUS', eventsDeleted: 18_000 } });
  expect(await count('(select count(*) from event)')).toBe(1);
  expect(await count(`(select string_agg(convert_from(message, 'UTF8'), '') = 'of bob' from event)::int`)).toBe(1);
});
