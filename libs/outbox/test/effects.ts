import type { DeliveredMessage } from '@pca/event-bus';
import type pg from 'pg';
import { messageOf, sequenceOf } from '../../event-bus/test/messages.js';
import { enqueue, ensureInboxTable, ensureOutboxTable, type Group, type Queryable, receive } from '../src/index.js';

export const effectsTopic = 'orders.events.v1';
export const effectsGroup = 'effects';
const followUpTopic = 'bills.events.v1';

/** A projection that no repeat leaves as it is: it adds up, and remembers the order. */
export const createEffects = async (pool: pg.Pool): Promise<void> => {
  await ensureOutboxTable(pool);
  await ensureInboxTable(pool);
  await pool.query(`create table effect (event_id uuid primary key, times int not null);
    create table tally (key text primary key, total int not null, last int not null, inversions int not null)`);
};

/** What a handler does: the projection, and an event of its own for each that it got. */
export const applyEffects = async (transaction: Queryable, group: Group, messages: readonly DeliveredMessage[]): Promise<void> => {
  const fresh = (await receive(transaction, group, messages)).map(({ message }) => message);
  for (const message of fresh) {
    await transaction.query('insert into effect values ($1, 1) on conflict (event_id) do update set times = effect.times + 1', [
      message.envelope.id,
    ]);
    await transaction.query(
      `insert into tally values ($1, 1, $2, 0) on conflict (key) do update
       set total = tally.total + 1, last = $2, inversions = tally.inversions + (tally.last >= $2)::int`,
      [message.key, sequenceOf(message)],
    );
  }
  await enqueue(
    transaction,
    fresh.map((message) => messageOf(followUpTopic, message.key, sequenceOf(message))),
  );
};

export interface EffectsReport {
  readonly events: number;
  readonly twice: number;
  readonly total: number;
  readonly inversions: number;
  readonly followUps: number;
}

export const auditEffects = async (pool: pg.Pool): Promise<EffectsReport> => {
  const { rows } = await pool.query<EffectsReport>(
    `select (select count(*)::int from effect) as events, (select count(*)::int from effect where times <> 1) as twice,
       (select coalesce(sum(total), 0)::int from tally) as total, (select coalesce(sum(inversions), 0)::int from tally) as inversions,
       (select count(*)::int from outbox) as "followUps"`,
  );
  return rows[0]!;
};
