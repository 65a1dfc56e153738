import type { Connection } from './connection.js';

/** A workspace whose events of every day that ended by `cutoff` go. */
export interface Due {
  readonly number: number;
  readonly days: number;
  readonly cutoff: Date;
  /** UTC day on which it is due, as `2026-01-31`. */
  readonly today: string;
}

/** Workspaces that were not swept today, or whose retention has changed since. */
export const findDue = async (connection: Connection): Promise<Due[]> => {
  const { rows } = await connection.query<Due>(
    `select number, retention_days as days, (today - retention_days)::timestamp at time zone 'UTC' as cutoff, today::text
     from workspace, (select (now() at time zone 'UTC')::date as today) t
     where retention_swept_on is null or retention_swept_on < today order by number`,
  );
  return rows;
};

/** They are due again on the next day; those whose retention has changed in the meantime still are. */
export const markSwept = async (connection: Connection, due: readonly Due[]): Promise<void> => {
  await connection.query(
    `update workspace w set retention_swept_on = $3 from unnest($1::int[], $2::int[]) as d (number, days)
     where w.number = d.number and w.retention_days = d.days`,
    [due.map(({ number }) => number), due.map(({ days }) => days), due[0]?.today],
  );
};
