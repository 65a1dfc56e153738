import pg from 'pg';
import { printTable } from '../lib/measure.mjs';
import { residentMb } from './processes.mjs';
import { openSession } from './session.mjs';

const legs = 5;
const sampleEveryMs = 250;
const growthMax = 1.25;
// A table of a few pages may double without a meaning.
const tableSlackMb = 1;

const sizesQuery = `
  select coalesce(sum(size) filter (where is_log), 0)::float8 / 1e6 as log, coalesce(sum(size) filter (where not is_log), 0)::float8 / 1e6 as rest
  from (
    select pg_total_relation_size(c.oid) as size, n.nspname = 'bus' and c.relname like 'log%' as is_log
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  ) t`;

/** What is looked at while a leg runs, each with its peak in that leg. */
const watch = async (session, server) => {
  const client = session.place.url ? new pg.Client({ connectionString: session.place.url }) : undefined;
  await client?.connect();
  let peaks = {};
  const sample = async () => {
    const sizes = (await client?.query(sizesQuery))?.rows[0] ?? {};
    const memory = { writer: residentMb(session.writerPid), consumer: residentMb(session.consumerPid), ...server.residentMb() };
    for (const [name, value] of Object.entries({ ...memory, ...sizes })) peaks[name] = Math.max(peaks[name] ?? 0, value);
  };
  let sampling = Promise.resolve();
  const timer = setInterval(() => (sampling = sampling.then(sample)), sampleEveryMs);
  return {
    take: async () => {
      sampling = sampling.then(sample);
      await sampling;
      const taken = peaks;
      peaks = {};
      return taken;
    },
    stop: async () => {
      clearInterval(timer);
      await sampling;
      await client?.end();
    },
  };
};

const measureOne = async (system, server, events) => {
  const session = await openSession(system, server);
  const watched = await watch(session, server);
  const peaks = [];
  // A heap first grows to the size that the load asks for.
  await session.leg(events / legs);
  await watched.take();
  for (let n = 0; n < legs; n++) {
    await session.leg(events / legs);
    peaks.push(await watched.take());
  }
  await watched.stop();
  await session.close();
  return peaks;
};

/**
 * A million events through one pair of processes, after 200,000 to warm up: peaks of each fifth. What grows with the number of events shows
 * in the last fifth beside the first; the log itself is kept by its retention and is no part of that.
 */
export const measureGrowth = async (systems, servers, { events, gates }) => {
  for (const [name, system] of systems) {
    const peaks = await measureOne(system, servers[system.server], events);
    const names = Object.keys(peaks[0]);
    const labels = { rest: 'tables beside the log', ...system.labels };
    console.log(`\n${system.title}, ${events.toLocaleString('en-US')} events: peaks of each fifth in MB\n`);
    printTable(
      ['events', ...names.map((each) => labels[each] ?? each)],
      peaks.map((peak, n) => [((events / legs) * (n + 1)).toLocaleString('en-US'), ...names.map((each) => peak[each].toFixed(1))]),
    );
    const [first, last] = [peaks[0], peaks.at(-1)];
    if (last.log) console.log(`\n${((last.log * 1e6) / (events * (1 + 1 / legs))).toFixed(0)} bytes of log an event`);
    console.log();
    for (const each of ['writer', 'consumer'])
      gates.atMost(`${name}, memory of the ${each}, last to first fifth`, last[each] / first[each], growthMax);
    if (last.rest !== undefined) {
      // Vacuum makes a saw of what is deleted from, so its teeth are compared.
      const tooth = (some) => Math.max(...some.map(({ rest }) => rest));
      const half = Math.floor(legs / 2);
      gates.atMost(
        `${name}, tables beside the log in MB`,
        tooth(peaks.slice(half + 1)),
        tooth(peaks.slice(0, half)) * growthMax + tableSlackMb,
      );
    }
  }
};
