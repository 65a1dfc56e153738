import { printTable } from '../lib/measure.mjs';

// A partition counts as its table.
const sizesQuery = `
  select coalesce(parent.relname, c.relname) as name, sum(pg_table_size(c.oid))::float8 as rows, sum(pg_indexes_size(c.oid))::float8 as indexes
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_inherits i on i.inhrelid = c.oid left join pg_class parent on parent.oid = i.inhparent
  where c.relkind = 'r' and n.nspname = 'public' group by 1 order by 2 desc`;

/** Bytes that an event takes in all tables and indexes of the analytics database, whatever they are for. */
export const bytesOf = async (client) => {
  const { rows } = await client.query('select count(*)::int as events from event');
  const { events } = rows[0];
  const { rows: tables } = await client.query(sizesQuery);
  const perEvent = tables.reduce((total, table) => total + table.rows + table.indexes, 0) / events;
  return {
    events,
    perEvent,
    tables: tables.map((table) => ({ name: table.name, rows: table.rows / events, indexes: table.indexes / events })),
  };
};

export const printBytes = ({ events, tables }) => {
  console.log(`\nbytes an event at ${events.toLocaleString('en-US')} events\n`);
  printTable(
    ['table', 'rows', 'indexes'],
    tables
      .filter(({ rows, indexes }) => rows + indexes >= 0.5)
      .map(({ name, rows, indexes }) => [name, rows.toFixed(1), indexes.toFixed(1)]),
  );
};
