import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresEventBus } from '@pca/event-bus';
import type pg from 'pg';
import { messageOf, sequenceOf } from '../../event-bus/test/messages.js';
import { readAll } from '../../event-bus/test/read-all.js';
import { enqueue, ensureOutboxTable } from '../src/index.js';

export const ledgerTopic = 'ledger.changes.v1';
export const accounts = Array.from({ length: 12 }, (_, i) => `account-${String(i).padStart(2, '0')}`);

/** A business of one kind of aggregate: an account counts its changes, and each change has its row and its event. */
export const createLedger = async (pool: pg.Pool): Promise<void> => {
  await ensureOutboxTable(pool);
  await pool.query(`create table account (id text primary key, sequence int not null default 0);
    create table change (event_id uuid primary key, account text not null, sequence int not null, unique (account, sequence))`);
  await pool.query('insert into account (id) select unnest($1::text[])', [accounts]);
};

/**
 * Changes some accounts in one transaction, which waits a while before it commits or rolls back. Returns the ids of the events that
 * committed.
 */
export const writeChange = async (pool: pg.Pool, ids: readonly string[], waitMs: number, end: 'commit' | 'rollback'): Promise<string[]> => {
  const client = await pool.connect();
  const ignored = () => undefined;
  client.on('error', ignored);
  let failure: Error | undefined;
  try {
    await client.query('begin');
    const { rows } = await client.query<{ id: string; sequence: number }>(
      'select id, sequence from account where id = any ($1) order by id for update',
      [ids],
    );
    const messages = rows.map(({ id, sequence }) => messageOf(ledgerTopic, id, sequence + 1));
    await client.query('update account set sequence = sequence + 1 where id = any ($1)', [ids]);
    await client.query('insert into change select * from unnest($1::uuid[], $2::text[], $3::int[])', [
      messages.map(({ envelope }) => envelope.id),
      messages.map(({ key }) => key),
      messages.map(sequenceOf),
    ]);
    await enqueue(client, messages);
    await sleep(waitMs);
    await client.query(end);
    return end === 'commit' ? messages.map(({ envelope }) => envelope.id) : [];
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
    client.off('error', ignored);
  }
};

export interface LedgerReport {
  readonly changes: number;
  readonly published: number;
  readonly repeats: number;
  /** Changes with no event on the bus. */
  readonly missing: number;
  /** Events on the bus with no change. */
  readonly phantoms: number;
  /** Events that appear for the first time after a later one of their account. */
  readonly inversions: number;
}

/** Counts, by looking at every row and every event. */
export const auditLedger = async (pool: pg.Pool, bus: PostgresEventBus): Promise<LedgerReport> => {
  const { rows } = await pool.query<{ event_id: string }>('select event_id from change');
  const changes = new Set(rows.map(({ event_id }) => event_id));
  const seen = new Set<string>();
  const last = new Map<string, number>();
  let published = 0;
  let inversions = 0;
  for (const message of (await readAll(bus, ledgerTopic)).flat()) {
    published += 1;
    if (seen.has(message.envelope.id)) continue;
    seen.add(message.envelope.id);
    const sequence = sequenceOf(message);
    if (sequence <= (last.get(message.key) ?? 0)) inversions += 1;
    last.set(message.key, Math.max(sequence, last.get(message.key) ?? 0));
  }
  return {
    changes: changes.size,
    published,
    repeats: published - seen.size,
    missing: [...changes].filter((id) => !seen.has(id)).length,
    phantoms: [...seen].filter((id) => !changes.has(id)).length,
    inversions,
  };
};
