// The floor: one connection's COPY of the same events, as text, into a plain table that has a column for each of their parts and no index.
// Beside it a COPY that is a little closer to what is asked: each thousand committed by itself, and no messageId twice.
import pg from 'pg';
import { cpuSeconds } from '../bus/processes.mjs';

const columns = ['message_id', 'at', 'user_id', 'anonymous_id', 'session_id', 'name', 'page', 'campaign', 'agent', 'properties'];
const tableSql = (
  key,
) => `create table floor (message_id ${key}, at timestamptz, user_id text, anonymous_id text, session_id text, name text, page text,
  campaign text, agent text, properties text)`;

// What COPY gives a meaning to in text; none of the generated texts holds a tab or a line's end.
const escape = (text) => text.replaceAll('\\', '\\\\');
const cell = (value) => (value === undefined ? '\\N' : escape(value));

const rowOf = ({ messageId, timestamp, userId, anonymousId, sessionId, event, name, context, properties }) =>
  [messageId, timestamp, userId, anonymousId, sessionId, event ?? name]
    .concat([context.page.path, context.campaign?.name, context.userAgent, JSON.stringify(properties)])
    .map(cell)
    .join('\t');

/** Events as the text that COPY takes. */
export const copyText = (events) => events.map((event) => `${rowOf(event)}\n`).join('');

/** Rows a second and CPU of 100,000 rows by stage. */
export const measureFloor = async (server, load, { seed, events, keyed = false }) => {
  const database = await server.makeDatabase('floor');
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  await client.query(tableSql(keyed ? 'uuid primary key' : 'text'));
  await load.ask('make', { seed, count: events, batchSize: 1_000 });
  await load.ask('prepareCopy', { database });
  await client.query('checkpoint');
  const usage = () => [cpuSeconds(load.pid), server.cpuSeconds()];
  const before = usage();
  const { seconds } = await load.ask('copy', { statement: `copy floor (${columns.join(', ')}) from stdin`, eachThousand: keyed });
  const [loadCpu, postgresCpu] = usage().map((each, n) => ((each - before[n]) * 100_000) / events);
  await client.end();
  await server.dropDatabase('floor');
  return { rate: events / seconds, cpu: { load: loadCpu, postgres: postgresCpu } };
};
