import { ms, printTable, quantile } from '../lib/measure.mjs';
import { runLeg } from './leg.mjs';
import { startSystem } from './system.mjs';

const stages = ['load', 'gateway', 'analytics', 'postgres', 'broker'];
const callers = 16;
const eventsMax = 20_000;
const warmUp = 5_000;
const rateLeast = 2_000;
const p95MsMost = 25;
const freshMsMost = 2_000;

const measureOne = async (place, name, { events, seed }) => {
  const kafka = name === 'kafka' ? place.kafka : undefined;
  const { server, load } = place;
  const system = await startSystem({ ...place, kafka, name });
  const send = { path: '/v1/track', callers, single: true };
  await runLeg(system, server, load, { make: { seed, count: warmUp, batchSize: 1 }, send });
  const result = await runLeg(system, server, load, { make: { seed: seed + 1, count: events, batchSize: 1 }, send });
  await system.stop();
  return result;
};

/** One event a request by 16 clients that each wait for the answer. */
export const measureSingles = async (place, { chosen, events: wanted, rounds, gates }) => {
  const events = Math.min(wanted, eventsMax);
  const names = ['postgres', 'kafka'].filter((name) => chosen.has(name));
  const results = new Map(names.map((name) => [name, []]));
  for (let round = 1; round <= rounds; round++)
    for (const name of names) results.get(name).push(await measureOne(place, name, { events, seed: round * 100 + 50 }));
  const part = (name, field) =>
    quantile(
      results.get(name).map((result) => result[field]),
      0.5,
    );
  const cpu = (name, stage) =>
    quantile(
      results.get(name).map((result) => result.cpu[stage] ?? 0),
      0.5,
    );
  console.log(
    `\n${events.toLocaleString('en-US')} events one by one by ${callers} clients, medians of ${rounds} rounds; CPU in seconds for 100,000\n`,
  );
  printTable(
    ['', 'events/s', 'p50', 'p95', 'fresh after p50', 'p95', ...stages],
    names.map((name) => [
      `ours, BUS=${name}`,
      Math.round(part(name, 'rate')).toLocaleString('en-US'),
      ...['p50Ms', 'p95Ms', 'freshP50Ms', 'freshP95Ms'].map((field) => ms(part(name, field))),
      ...stages.map((stage) => cpu(name, stage).toFixed(1)),
    ]),
  );
  console.log();
  for (const name of names) {
    gates.atLeast(`${name}, single events/s`, part(name, 'rate'), rateLeast);
    gates.atMost(`${name}, a single event, p95 in ms`, part(name, 'p95Ms'), p95MsMost);
    gates.atMost(`${name}, freshness of single events, p95 in ms`, part(name, 'freshP95Ms'), freshMsMost);
  }
};
