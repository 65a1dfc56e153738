import type { Connection } from './connection.js';

export interface DayPartition {
  /** Quoted, and with its schema where that is needed. */
  readonly table: string;
  /** First instant after it. */
  readonly end: Date;
}

/**
 * The partitions of `event`, oldest first. Whoever deletes goes from one to the next: a statement over all of them would take locks on
 * thousands of tables at once.
 */
export const dayPartitions = async (connection: Connection): Promise<DayPartition[]> => {
  const { rows } = await connection.query<DayPartition>(
    `select * from (
       select c.oid::regclass::text as "table",
         (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''([^'']+)''\\)'))[1]::timestamptz as "end"
       from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'event'::regclass
     ) p where "end" is not null order by "end"`,
  );
  return rows;
};
