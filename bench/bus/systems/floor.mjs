// The least that a log in Postgres can cost: each caller inserts many rows in a statement, and one reader reads them back and remembers in
// memory how far it came. Rows are numbered by caller, as a reader over one sequence would pass over what commits late.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const connect = async (url) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
};

export const prepare = async ({ url }) => {
  const client = await connect(url);
  await client.query('create table floor (caller int, id bigint, key text not null, payload text not null, primary key (caller, id))');
  await client.end();
};

export const openWriter = async ({ url, callers }) => {
  const clients = await Promise.all(Array.from({ length: callers }, () => connect(url)));
  const ids = clients.map(() => 0);
  return {
    write: async (messages, caller) => {
      const text = `insert into floor select $1, $2 + i, key, payload
        from unnest(string_to_array($3, E'\\n'), string_to_array($4, E'\\n')) with ordinality as m (key, payload, i)`;
      const values = [
        caller,
        ids[caller],
        messages.map(({ key }) => key).join('\n'),
        messages.map(({ envelope }) => JSON.stringify(envelope)).join('\n'),
      ];
      ids[caller] += messages.length;
      await clients[caller].query({ name: 'insert', text, values });
    },
    close: () => Promise.all(clients.map((client) => client.end())),
  };
};

export const openConsumer = async ({ url, callers }, handle) => {
  const client = await connect(url);
  const last = new Map(Array.from({ length: callers }, (_, caller) => [caller, '0']));
  const text = `select f.caller, f.id, f.key, f.payload from unnest($1::int[], $2::bigint[]) as l (caller, id)
    cross join lateral (select * from floor where caller = l.caller and id > l.id order by id limit 1000) f`;
  let closing = false;
  const read = async () => {
    while (!closing) {
      const { rows } = await client.query({ name: 'read', text, values: [[...last.keys()], [...last.values()]] });
      for (const { caller, id } of rows) last.set(caller, id);
      if (rows.length > 0) handle(rows.map(({ payload }) => JSON.parse(payload)));
      else await sleep(2);
    }
  };
  const reading = read();
  return {
    isCommitted: () => true,
    close: async () => {
      closing = true;
      await reading;
      await client.end();
    },
  };
};
