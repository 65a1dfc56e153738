import { printTable, quantile } from '../lib/measure.mjs';
import { openSession } from './session.mjs';

const warmUpMax = 20_000;

const measureOnce = async (system, server, events) => {
  const session = await openSession(system, server);
  await session.leg(Math.min(warmUpMax, events));
  const result = await session.leg(events);
  await session.close();
  return result;
};

const median = (values) => quantile(values, 0.5);
const count = (value) => Math.round(value).toLocaleString('en-US');

/** Rounds of all systems in turn, because the speed of a shared machine changes by the minute. */
const runRounds = async (systems, servers, { events, rounds }) => {
  const results = new Map([...systems.keys()].map((name) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [name, system] of systems) {
      const result = await measureOnce(system, servers[system.server], events);
      results.get(name).push(result);
      const { eventsPerSecond, cpu, repeats } = result;
      console.error(`round ${round}: ${name} ${count(eventsPerSecond)} events/s, ${cpu.toFixed(2)} CPU s, ${repeats} repeats`);
    }
  }
  return results;
};

/** As many events as fast as they go, from the first call that publishes to the moment when the last one is handled and committed. */
export const measureBurst = async (systems, servers, { events, rounds, gates }) => {
  const results = await runRounds(systems, servers, { events, rounds });
  const ratios = (name, peer, part) => results.get(peer)?.map((result, round) => results.get(name)[round][part] / result[part]);
  const cell = (values) => (values ? median(values).toFixed(2) : '');
  console.log(`\n${count(events)} events, medians of ${rounds} rounds, ratios within a round; CPU in seconds for 100,000 events\n`);
  printTable(
    ['system', 'events/s', 'of the floor', 'CPU', 'of the floor', 'writer', 'consumer', 'server'],
    [...systems].map(([name, { title }]) => [
      title,
      count(median(results.get(name).map(({ eventsPerSecond }) => eventsPerSecond))),
      cell(ratios(name, 'floor', 'eventsPerSecond')),
      median(results.get(name).map(({ cpu }) => cpu)).toFixed(2),
      cell(ratios(name, 'floor', 'cpu')),
      ...['writerCpu', 'consumerCpu', 'serverCpu'].map((part) => median(results.get(name).map((result) => result[part])).toFixed(2)),
    ]),
  );
  console.log();
  for (const [name, { gate }] of systems) {
    if (!gate || !results.has(gate.peer)) continue;
    const speed = ratios(name, gate.peer, 'eventsPerSecond');
    const span = `${Math.min(...speed).toFixed(2)} to ${Math.max(...speed).toFixed(2)} in single rounds`;
    gates.atLeast(`${name}, events/s to ${gate.peer} (${span})`, median(speed), gate.speedLeast);
    if (gate.cpuMost) gates.atMost(`${name}, CPU to ${gate.peer}`, median(ratios(name, gate.peer, 'cpu')), gate.cpuMost);
  }
};
