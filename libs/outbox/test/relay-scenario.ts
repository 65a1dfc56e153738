import { setTimeout as sleep } from 'node:timers/promises';
import { type EventPublisher, PostgresEventBus } from '@pca/event-bus';
import type { TestPostgres } from '@pca/testing';
import pg from 'pg';
import type { Random } from '../../event-bus/test/random.js';
import type { Relaying } from './broken-relays.js';
import { accounts, auditLedger, createLedger, type LedgerReport, writeChange } from './ledger.js';

/** The bus, but the first call with messages and then one in four fails: before it stores anything, or after it has stored everything. */
const flaky = (bus: EventPublisher, random: Random): { publisher: EventPublisher; heal: () => void } => {
  let healed = false;
  let calls = 0;
  const publisher: EventPublisher = {
    publish: async (messages) => {
      if (messages.length > 0 && !healed && (calls++ === 0 || random.chance(0.15))) throw new Error('not sent');
      await bus.publish(messages);
      if (!healed && random.chance(0.1)) throw new Error('sent, and the answer was lost');
    },
  };
  return { publisher, heal: () => (healed = true) };
};

/**
 * 16 writers with commits that come late, in another order than the ids, or not at all; relays on a bus that fails now and then. Ends when
 * the outbox is empty, or when a relay has left it as it is for `quietMs`, and counts: a right one may wait for seconds after failures.
 */
export const relayScenario = async (
  postgres: TestPostgres,
  random: Random,
  quietMs: number,
  makeRelays: (pool: pg.Pool, publisher: EventPublisher) => readonly Relaying[],
): Promise<LedgerReport & { readonly left: number }> => {
  const pool = new pg.Pool({ connectionString: (await postgres.createDatabase()).url, max: 20 });
  const bus = await PostgresEventBus.connect({ url: (await postgres.createDatabase()).url });
  const { publisher, heal } = flaky(bus, random);
  await createLedger(pool);
  const relays = makeRelays(pool, publisher);
  for (const relay of relays) relay.start();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (let write = 0; write < 20; write += 1) {
        const ids = [...new Set(Array.from({ length: 1 + random.below(3) }, () => random.pick(accounts)))];
        await writeChange(pool, ids, random.chance(0.3) ? random.below(40) : 0, random.chance(0.1) ? 'rollback' : 'commit');
      }
    }),
  );
  heal();
  const depth = async () => Number((await pool.query<{ n: string }>('select count(*) as n from outbox')).rows[0]?.n);
  let left = await depth();
  for (let since = performance.now(); left > 0 && performance.now() - since < quietMs;) {
    await sleep(50);
    const now = await depth();
    if (now !== left) since = performance.now();
    left = now;
  }
  await Promise.all(relays.map((relay) => relay.stop()));
  const report = { ...(await auditLedger(pool, bus)), left };
  await bus.close();
  await pool.end();
  return report;
};
