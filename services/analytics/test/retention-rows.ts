import type { Database } from '@pca/service-kit';
import type { ClientBase } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';

export const dayMs = 86_400_000;

/** What goes by days that lie behind must not see midnight pass: waits for the next day, UTC, when this one is nearly over. */
export const farFromMidnight = async (): Promise<void> => {
  const leftMs = dayMs - (Date.now() % dayMs);
  if (leftMs < 120_000) await sleep(leftMs + 1_000);
};

/** So many days before today, at this hour, UTC. */
export const daysAgo = (days: number, hour = 12): Date => new Date((Math.floor(Date.now() / dayMs) - days) * dayMs + hour * 3_600_000);

export interface Row {
  readonly workspace: number;
  readonly person: number;
  readonly session: number;
  readonly at: Date;
  /** Told apart by it. */
  readonly message: string;
}

/** Stores events as they are, and makes the partitions of their days. */
export const addEvents = async (client: Pick<ClientBase, 'query'>, rows: readonly Row[]): Promise<void> => {
  await client.query('select ensure_event_days($1)', [[...new Set(rows.map(({ at }) => Math.floor(at.getTime() / dayMs)))]]);
  await client.query(
    `insert into event (at, received_at, workspace, person, session, name, page, resource, context, shape, is_bot, message, properties)
     select at, at, workspace, person, session, 1, 0, 0, 0, 0, false, convert_to(message, 'UTF8'), '{}'
     from unnest($1::timestamptz[], $2::int[], $3::int[], $4::int[], $5::text[]) as t (at, workspace, person, session, message)`,
    [
      rows.map(({ at }) => at),
      rows.map(({ workspace }) => workspace),
      rows.map(({ person }) => person),
      rows.map(({ session }) => session),
      rows.map(({ message }) => message),
    ],
  );
};

/** Messages that are stored, sorted. */
export const messages = async ({ pool }: Database): Promise<string[]> =>
  (await pool.query<{ m: string }>(`select convert_from(message, 'UTF8') as m from event`)).rows.map(({ m }) => m).sort();

/** A person who is known since then; alone, or part of another one. */
export const addPerson = async ({ pool }: Database, workspace: number, id: string, since: Date, canonical?: number): Promise<number> => {
  const { rows } = await pool.query<{ id: number }>(
    'insert into person (workspace, is_known, external_id, created_at) values ($1, true, $2, $3) returning id',
    [workspace, id, since],
  );
  const number = (rows[0] as { id: number }).id;
  if (canonical !== undefined) await pool.query('update person set canonical = $2 where id = $1', [number, canonical]);
  return number;
};

export const addSession = async ({ pool }: Database, workspace: number, name: string, person: number): Promise<number> => {
  const { rows } = await pool.query<{ id: number }>('insert into session (workspace, name, person) values ($1, $2, $3) returning id', [
    workspace,
    name,
    person,
  ]);
  return (rows[0] as { id: number }).id;
};
