import { eventTracked, makeEvent } from '@pca/contracts';
import { busConfigOf, createLogger, type Database, ServiceBus } from '@pca/service-kit';
import { testPostgres, type TestPostgres } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../src/data-source.js';
import { readEnv } from '../src/env.js';
import { Freshness, timelinesGroup } from '../src/freshness/freshness.service.js';
import { trackedEvent } from './timelines-under-test.js';

/** What a busy machine does within the three seconds that are given to storing is by chance. */
const longMs = 600_000;

let postgres: TestPostgres;
let database: Database;
let bus: ServiceBus;
beforeAll(async () => {
  postgres = await testPostgres();
  const [{ url }, { url: busUrl }] = [await postgres.createDatabase(), await postgres.createDatabase()];
  const env = readEnv({ NODE_ENV: 'test', PORT: '1', LOG_LEVEL: 'silent', DATABASE_URL: url, BUS_URL: busUrl, AUTH_JWKS_FILE: 'none' });
  database = openDatabase(env);
  await database.start(() => undefined);
  bus = new ServiceBus(busConfigOf(env, 'analytics'), createLogger({ name: 'test', level: 'silent' }));
});
afterAll(async () => {
  await bus.close();
  await database.stop();
  await postgres.stop();
});

// Broken by: an instant that is claimed before everything received until then is done, or that stands still under a steady stream.
it('knows up to when everything that was received is stored', async () => {
  const freshness = new Freshness(database, bus);
  expect(await freshness.asOf(), 'nobody consumes yet').toBeNull();
  const publish = (): Promise<void> =>
    bus.publish([makeEvent(eventTracked, trackedEvent(), { workspaceId: 'demo', correlationId: 'test' })]);
  await publish();
  let open: () => void = () => undefined;
  let gate = Promise.resolve();
  const group = await (
    await bus.open()
  ).subscribe({
    group: timelinesGroup,
    topics: [eventTracked.topic],
    batchSize: 1,
    handle: () => gate,
  });
  const asOfMs = async (): Promise<number> => Date.parse((await freshness.asOf()) ?? '1970-01-01T00:00:00Z');
  const begun = Date.now();
  await expect.poll(asOfMs, { interval: 100 }).toBeGreaterThan(begun);

  gate = new Promise((resolve) => (open = resolve));
  await publish();
  const held = Date.now();
  // A look of its own each time, so that nothing that was remembered hides a false claim.
  for (let look = 0; look < 3; look++) expect(await new Freshness(database, bus).asOf(), 'one event is open').toBeNull();
  expect(await asOfMs()).toBeLessThan(held);

  // More comes all the time, so that the group has never caught up with everything.
  let running = true;
  const stream = (async () => {
    while (running) await publish();
  })();
  open();
  await expect.poll(asOfMs, { interval: 100 }).toBeGreaterThan(held);
  running = false;
  await stream;
  await group.close();
});

// Broken by: giving up what is on its way, waiting for what comes later, for ever or for nothing, or a crowd that waits and lets
// nobody else wait.
it('waits for what was accepted to be stored, and no longer', async () => {
  const publish = (): Promise<void> =>
    bus.publish([makeEvent(eventTracked, trackedEvent(), { workspaceId: 'demo', correlationId: 'test' })]);
  let open: () => void = () => undefined;
  let gate = new Promise<void>((resolve) => (open = resolve));
  const opened = await bus.open();
  const handle = (): Promise<void> => gate;
  const group = await opened.subscribe({ group: timelinesGroup, topics: [eventTracked.topic], batchSize: 1, handle });
  const freshness = new Freshness(database, bus, longMs);
  const wait = (workspace = 1): { looks: number; found: string | undefined; answer: Promise<string | undefined> } => {
    const waiting = { looks: 0, found: undefined as string | undefined, answer: Promise.resolve<string | undefined>('') };
    waiting.answer = freshness.whenStored(workspace, () => {
      waiting.looks += 1;
      return Promise.resolve(waiting.found);
    });
    return waiting;
  };
  const unavailable = { code: 'SERVICE_UNAVAILABLE', details: { retryAfterSeconds: 1 } };
  await publish();
  // As long as the one event is open it is not known whether it is what is looked for, and that is said in the end.
  await expect(new Freshness(database, bus, 500).whenStored(1, () => Promise.resolve(undefined))).rejects.toMatchObject(unavailable);
  const found = wait();
  await expect.poll(() => found.looks).toBeGreaterThan(2);
  found.found = 'it';
  expect(await found.answer).toBe('it');
  const crowdOf = (workspace: number) => Array.from({ length: 8 }, () => wait(workspace));
  const crowd = crowdOf(1);
  const ninth = wait(1);
  await expect(ninth.answer).rejects.toMatchObject(unavailable);
  crowd.push(...crowdOf(2), ...crowdOf(3), ...crowdOf(4));
  const last = wait(5);
  await expect(last.answer).rejects.toMatchObject(unavailable);
  expect([ninth.looks, last.looks]).toEqual([1, 1]);
  for (const each of crowd) each.found = 'it';
  expect(new Set(await Promise.all(crowd.map(({ answer }) => answer)))).toEqual(new Set(['it']));
  open();
  gate = Promise.resolve();
  await expect.poll(async () => (await opened.lag(timelinesGroup)).every(({ lag }) => lag === 0)).toBe(true);
  const idle = wait();
  expect([await idle.answer, idle.looks], 'nothing is on its way').toEqual([undefined, 2]);
  // More comes all the time, so that the group has never caught up with everything.
  let running = true;
  const stream = (async () => {
    while (running) await publish();
  })();
  expect(await wait().answer).toBeUndefined();
  running = false;
  await stream;
  await group.close();
});

// Broken by: a question that fails because the bus does not answer.
it('answers that it is not known while the bus is away', async () => {
  const env = readEnv({
    ...{ NODE_ENV: 'test', PORT: '1', LOG_LEVEL: 'silent', AUTH_JWKS_FILE: 'none' },
    ...{ DATABASE_URL: 'postgres://127.0.0.1:1/none', BUS_URL: 'postgres://127.0.0.1:1/none' },
  });
  const away = new ServiceBus(busConfigOf(env, 'analytics'), createLogger({ name: 'test', level: 'silent' }));
  expect(await new Freshness(database, away).asOf()).toBeNull();
  await away.close();
});
