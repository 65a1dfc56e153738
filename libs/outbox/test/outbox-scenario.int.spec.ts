import { testPostgres, type TestPostgres } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { randomFrom } from '../../event-bus/test/random.js';
import { OutboxRelay } from '../src/index.js';
import { brokenRelays } from './broken-relays.js';
import { relayScenario } from './relay-scenario.js';

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await testPostgres();
});
afterAll(() => postgres.stop());

// Broken by: a cursor in place of deletion, deletion before the acknowledgement, going on after a failure, publishing what was rolled back.
it('publishes every committed change and no other, in order per key, from 16 writers with late commits', async () => {
  const random = randomFrom('outbox');
  let failures = 0;
  const report = await relayScenario(postgres, random, 60_000, (pool, publisher) =>
    [7, 500].map((batchSize) => new OutboxRelay({ pool, publisher, batchSize, pollMs: 5, onError: () => (failures += 1) })),
  );
  process.stdout.write(`${JSON.stringify({ ...report, failures })}\n`);
  expect(report, `seed ${random.seed}`).toMatchObject({ missing: 0, phantoms: 0, inversions: 0, left: 0 });
  expect(report.changes).toBeGreaterThan(300);
  expect(failures).toBeGreaterThan(0);
});

it.each(Object.entries(brokenRelays))('would notice a relay that %s', async (_, makeRelay) => {
  const report = await relayScenario(postgres, randomFrom('broken relay'), 2_000, (pool, publisher) => [makeRelay(pool, publisher)]);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  expect(report.missing + report.phantoms + report.inversions).toBeGreaterThan(0);
});
