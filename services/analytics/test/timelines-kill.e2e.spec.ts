import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { behaviourTopic, eventTracked, makeEvent } from '@pca/contracts';
import { PostgresEventBus } from '@pca/event-bus';
import { freePort, seededRandom, testIssuer, type TestIssuer, testPostgres, type TestPostgres } from '@pca/testing';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { messageIdOf } from '../src/timelines/timeline-event.js';
import { trackedEvent } from './timelines-under-test.js';

const main = join(import.meta.dirname, '../dist/main.js');
const group = 'analytics.timelines';
const rounds = Number(process.env['KILL_ROUNDS'] ?? 4);
const eventsOfRound = Math.ceil(20_000 / rounds);
let postgres: TestPostgres;
let issuer: TestIssuer;
let children: ChildProcess[] = [];

beforeAll(async () => {
  postgres = await testPostgres();
  issuer = await testIssuer();
});
afterAll(async () => {
  await Promise.all(children.map(kill));
  await postgres.stop();
  await issuer.remove();
});

const kill = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
};

// Broken by: digests that commit before or after their rows, rows outside of the transaction, a position kept before the rows are there.
it('stores every event once, whoever is killed at whatever moment', { timeout: 240_000 + rounds * 30_000 }, async () => {
  const random = seededRandom('timelines kill');
  const [own, busDatabase] = [await postgres.createDatabase(), await postgres.createDatabase()];
  const env = { PATH: process.env['PATH'] ?? '', DATABASE_URL: own.url, BUS_URL: busDatabase.url, LOG_LEVEL: 'warn', ...issuer.env };
  const start = async (): Promise<ChildProcess> =>
    fork(main, { env: { ...env, PORT: String(await freePort()) }, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const bus = await PostgresEventBus.connect({ url: busDatabase.url, topics: { [behaviourTopic]: { partitions: 4 } } });
  const pool = new pg.Pool({ connectionString: own.url });
  const stored = async (): Promise<number> => {
    const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from event').catch(() => ({ rows: [{ n: 0 }] }));
    return rows[0]!.n;
  };
  children = [await start(), await start()];

  const sent: string[] = [];
  const messageOf = (messageId: string) => {
    // By its id, so that a repeat says the same, under whatever key it comes: a retry may know the user.
    const n = Number.parseInt(messageId.slice(-4), 16);
    const ids = random.int(2) === 0 ? { userId: null, anonymousId: `a${n % 97}` } : { userId: `u${n % 97}`, anonymousId: `a${n % 97}` };
    const timestamp = new Date(Date.now() - (n % 3) * 86_400_000).toISOString();
    const event = trackedEvent({ messageId, timestamp, ...ids, event: `e${n % 20}`, page: `/p${n % 300}`, sessionId: `s${n % 500}` });
    return makeEvent(eventTracked, event, { workspaceId: 'demo', correlationId: 'kill' });
  };
  for (let round = 0; round < rounds; round += 1) {
    const before = await stored();
    const fresh = Array.from({ length: eventsOfRound }, () => uuidv7());
    sent.push(...fresh);
    const repeats = Array.from({ length: eventsOfRound / 5 }, () => random.pick(sent));
    const messages = [...fresh, ...repeats].map(messageOf);
    for (let i = 0; i < messages.length; i += 2_000) await bus.publish(messages.slice(i, i + 2_000));
    // Somebody is at it now.
    await expect.poll(stored, { interval: 5 }).toBeGreaterThan(before);
    await sleep(random.int(200));
    const victim = random.int(2);
    await kill(children[victim]!);
    children[victim] = await start();
  }
  const lag = async (): Promise<number> => (await bus.lag(group)).reduce((sum, { lag: behind }) => sum + behind, 0);
  await expect.poll(lag, { timeout: 180_000 }).toBe(0);
  await bus.close();
  const { rows } = await pool.query<{ message: Buffer }>('select message from event');
  await pool.end();
  expect(rows.map(({ message }) => messageIdOf(message)).sort(), `seed ${random.seed}`).toEqual(sent.sort());
});
