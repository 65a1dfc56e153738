import { ms, printTable } from '../lib/measure.mjs';
import { openSession } from './session.mjs';

const p50MsMax = 20;
const p99MsMax = 100;
const everyMs = 20;

/** One event at a time on a bus that has nothing else to do: from the call that publishes it to the call of its handler. */
export const measureIdle = async (systems, servers, { events, gates }) => {
  const rows = [];
  const latencies = [];
  for (const [name, system] of systems) {
    const session = await openSession(system, servers[system.server]);
    await session.leg(Math.min(events, 1000));
    const { p50Ms, p99Ms } = await session.leg(events, everyMs);
    await session.close();
    rows.push([system.title, ms(p50Ms), ms(p99Ms)]);
    if (system.own) latencies.push({ name, p50Ms, p99Ms });
  }
  console.log(`\n${events} events, one every ${everyMs} ms, from publishing to the handler\n`);
  printTable(['system', 'p50', 'p99'], rows);
  console.log();
  for (const { name, p50Ms, p99Ms } of latencies) {
    gates.atMost(`${name}, one event when idle, p50 in ms`, p50Ms, p50MsMax);
    gates.atMost(`${name}, one event when idle, p99 in ms`, p99Ms, p99MsMax);
  }
};
