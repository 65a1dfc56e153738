import { ensureInboxTable, type Group, type Queryable, receive } from '@pca/outbox';
import type pg from 'pg';
import type { DeliveredMessage } from '../../src/index.js';
import { sequenceOf } from '../messages.js';

/** A row for each time that a message had its effect, in the order of the effects: nothing in the table stops a second one. */
export const createEffects = async (pool: pg.Pool): Promise<void> => {
  await ensureInboxTable(pool);
  await pool.query(
    'create table effect (nth bigint generated always as identity, group_name text not null, event_id uuid not null, key text not null, sequence int not null)',
  );
};

/** What a handler does, in one transaction with the inbox. */
export const applyEffects = async (transaction: Queryable, group: Group, messages: readonly DeliveredMessage[]): Promise<void> => {
  const fresh = (await receive(transaction, group, messages)).map(({ message }) => message);
  await transaction.query(
    `insert into effect (group_name, event_id, key, sequence)
     select $1, m.id, m.key, m.sequence from unnest($2::uuid[], $3::text[], $4::int[]) with ordinality as m (id, key, sequence, i) order by i`,
    [group.name, fresh.map(({ envelope }) => envelope.id), fresh.map(({ key }) => key), fresh.map(sequenceOf)],
  );
};

export interface EffectsReport {
  readonly effects: number;
  /** Effects beyond the first of their message. */
  readonly twice: number;
  /** Effects that did not follow that of the message before theirs of the same key, whose numbers begin with 1. */
  readonly outOfOrder: number;
}

export const auditEffects = async (pool: pg.Pool, group: string): Promise<EffectsReport> => {
  const { rows } = await pool.query<EffectsReport>(
    `select count(*)::int as effects, (count(*) - count(distinct event_id))::int as twice,
       (count(*) filter (where sequence <> coalesce(before, 0) + 1))::int as "outOfOrder"
     from (select event_id, sequence, lag(sequence) over (partition by key order by nth) as before from effect where group_name = $1) as e`,
    [group],
  );
  return rows[0]!;
};

export const effectIds = async (pool: pg.Pool, group: string): Promise<ReadonlySet<string>> => {
  const { rows } = await pool.query<{ event_id: string }>('select distinct event_id from effect where group_name = $1', [group]);
  return new Set(rows.map(({ event_id }) => event_id));
};
