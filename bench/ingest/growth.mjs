import { printTable, quantile } from '../lib/measure.mjs';
import { runLeg } from './leg.mjs';
import { bytesOf } from './sizes.mjs';
import { startSystem } from './system.mjs';

const legs = 10;
/** What the load generator holds at once. */
const legEventsMax = 250_000;
const callers = 8;
const batchSize = 100;
const rateLeast = 0.75;
const memoryMost = 1.25;
const bytesMost = 250;

const count = (value) => Math.round(value).toLocaleString('en-US');
const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;

/** A tenth of all events, in as many pieces as the load generator needs. */
const runTenth = async (system, { server, load }, { events, seed }) => {
  const pieces = Math.ceil(events / legEventsMax);
  const results = [];
  const memory = [];
  for (let n = 0; n < pieces; n++) {
    const make = { seed: seed + n, count: events / pieces, batchSize };
    results.push(await runLeg(system, server, load, { make, send: { path: '/v1/batch', callers } }));
    memory.push(system.residentMb());
  }
  const cpu = (stage) => mean(results.map((result) => result.cpu[stage]));
  return {
    rate: 1 / mean(results.map(({ rate }) => 1 / rate)),
    cpu: Object.keys(results[0].cpu).reduce((sum, stage) => sum + cpu(stage), 0),
    analyticsCpu: cpu('analytics'),
    postgresCpu: cpu('postgres'),
    freshP95Ms: quantile(
      results.map(({ freshP95Ms }) => freshP95Ms),
      0.5,
    ),
    analytics: Math.max(...memory.map(({ analytics }) => analytics)),
    gateway: Math.max(...memory.map(({ gateway }) => gateway)),
    bytes: (await bytesOf(system.client)).perEvent,
  };
};

/** One pair of processes from nothing to many events, in tenths: what grows with the number of events shows in the last beside the second. */
export const measureGrowth = async (place, { chosen, growth, gates }) => {
  if (!chosen.has('postgres')) return;
  const system = await startSystem({ ...place, kafka: undefined, name: 'growth' });
  const tenths = [];
  for (let n = 0; n < legs; n++) {
    tenths.push(await runTenth(system, place, { events: growth / legs, seed: 100_000 + n * 100 }));
    console.error(`growth: ${count((growth / legs) * (n + 1))} events, ${count(tenths.at(-1).rate)} events/s`);
  }
  await system.stop();
  console.log(`\n${count(growth)} events through one pair of processes, BUS=postgres\n`);
  printTable(
    [
      'events',
      'events/s',
      'CPU s for 100,000',
      'analytics',
      'postgres',
      'fresh after p95',
      'MB of analytics',
      'of the gateway',
      'bytes an event',
    ],
    tenths.map((tenth, n) => [
      count((growth / legs) * (n + 1)),
      count(tenth.rate),
      ...[tenth.cpu, tenth.analyticsCpu, tenth.postgresCpu].map((each) => each.toFixed(2)),
      `${tenth.freshP95Ms.toFixed(0)} ms`,
      ...[tenth.analytics, tenth.gateway, tenth.bytes].map((each) => each.toFixed(0)),
    ]),
  );
  console.log();
  // The first tenth warms up.
  const [first, last] = [tenths[1], tenths.at(-1)];
  gates.atLeast('growth, events/s, last to second tenth', last.rate / first.rate, rateLeast);
  for (const each of ['analytics', 'gateway'])
    gates.atMost(`growth, memory of ${each}, last to second tenth`, last[each] / first[each], memoryMost);
  gates.atMost(`growth, bytes an event at ${count(growth)}`, last.bytes, bytesMost);
};
