import { printTable, quantile } from '../lib/measure.mjs';
import { measureFloor } from './floor.mjs';
import { runLeg } from './leg.mjs';
import { measurePeer } from './peer.mjs';
import { bytesOf, printBytes } from './sizes.mjs';
import { startSystem } from './system.mjs';

const callers = 8;
const batchSize = 100;
const warmUp = 40_000;
const peerEvents = 20_000;
const peerCallers = 16;
const floorShareLeast = 0.06;
const cpuMost = 0.2;
const bytesMost = 250;
const freshMsMost = 2_000;

const titles = {
  floor: 'floor: one COPY into a plain table',
  keyed: 'COPY by the thousand, with a key',
  peer: 'peer: one row a request',
  postgres: '**ours, BUS=postgres**',
  kafka: '**ours, BUS=kafka**',
};
const stages = ['load', 'gateway', 'analytics', 'postgres', 'broker'];

const median = (values) => quantile(values, 0.5);
const count = (value) => Math.round(value).toLocaleString('en-US');
const sum = (cpu) => Object.values(cpu).reduce((total, each) => total + each, 0);

const measureOurs = async (place, name, { events, seed }) => {
  const { server, load } = place;
  const kafka = name === 'kafka' ? place.kafka : undefined;
  const system = await startSystem({ ...place, kafka, name });
  const send = { path: '/v1/batch', callers, again: true };
  await runLeg(system, server, load, { make: { seed, count: warmUp, batchSize }, send });
  const result = await runLeg(system, server, load, { make: { seed: seed + 1, count: events, batchSize }, send });
  const bytes = await bytesOf(system.client);
  const memory = system.residentMb();
  await system.stop();
  return { ...result, bytes, memory };
};

const measureOnce = (place, name, { events, seed }) => {
  const { server, load } = place;
  if (name === 'floor') return measureFloor(server, load, { events, seed });
  if (name === 'keyed') return measureFloor(server, load, { events, seed, keyed: true });
  if (name === 'peer') return measurePeer(server, load, { events: peerEvents, seed, callers: peerCallers });
  return measureOurs(place, name, { events, seed });
};

const runRounds = async (place, names, { events, rounds }) => {
  const results = new Map(names.map((name) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const name of names) {
      const result = await measureOnce(place, name, { events, seed: round * 100 });
      results.get(name).push(result);
      console.error(`round ${round}: ${name} ${count(result.rate)} events/s, ${sum(result.cpu).toFixed(2)} CPU s for 100,000`);
    }
  }
  return results;
};

const judge = (results, name, gates) => {
  const own = results.get(name);
  const of = (part) => median(own.map((result) => result[part]));
  const shares = results.get('floor')?.map(({ rate }, round) => own[round].rate / rate);
  if (shares) {
    const span = `${Math.min(...shares).toFixed(3)} to ${Math.max(...shares).toFixed(3)} in single rounds`;
    gates.atLeast(`${name}, events/s to the floor (${span})`, median(shares), floorShareLeast);
  }
  gates.atMost(`${name}, CPU s for 1,000 events`, median(own.map(({ cpu }) => sum(cpu))) / 100, cpuMost);
  gates.atMost(`${name}, freshness p95 in ms`, of('freshP95Ms'), freshMsMost);
  gates.atMost(`${name}, bytes an event`, own.at(-1).bytes.perEvent, bytesMost);
};

/** Batches of 100 as fast as they go, all sides in turn, because the speed of a shared machine changes by the minute. */
export const measureBatches = async (place, { chosen, events, rounds, gates }) => {
  const names = Object.keys(titles).filter((name) => chosen.has(name));
  const results = await runRounds(place, names, { events, rounds });
  const part = (name, read) => median(results.get(name).map(read));
  const share = (name) =>
    results.has('floor') ? median(results.get('floor').map(({ rate }, n) => results.get(name)[n].rate / rate)).toFixed(3) : '';
  console.log(
    `\n${count(events)} events, batches of ${batchSize} by ${callers} clients (peer: ${count(peerEvents)} one by one by ${peerCallers});`,
  );
  console.log(`medians of ${rounds} rounds, ratios within a round; CPU in seconds for 100,000 events by stage\n`);
  printTable(
    ['', 'events/s', 'of the floor', 'CPU', ...stages],
    names.map((name) => [
      titles[name],
      count(part(name, ({ rate }) => rate)),
      share(name),
      part(name, ({ cpu }) => sum(cpu)).toFixed(2),
      ...stages.map((stage) => (results.get(name)[0].cpu[stage] === undefined ? '' : part(name, ({ cpu }) => cpu[stage]).toFixed(2))),
    ]),
  );
  const ours = names.filter((name) => name === 'postgres' || name === 'kafka');
  console.log();
  printTable(
    ['', 'request p50', 'p95', 'fresh after p50', 'p95', 'bytes an event', 'memory of analytics', 'of the gateway'],
    ours.map((name) => [
      titles[name],
      ...['p50Ms', 'p95Ms', 'freshP50Ms', 'freshP95Ms'].map((each) => `${part(name, (result) => result[each]).toFixed(0)} ms`),
      results.get(name).at(-1).bytes.perEvent.toFixed(0),
      ...['analytics', 'gateway'].map((stage) => `${results.get(name).at(-1).memory[stage].toFixed(0)} MB`),
    ]),
  );
  for (const name of ours.slice(0, 1)) printBytes(results.get(name).at(-1).bytes);
  console.log();
  for (const name of ours) judge(results, name, gates);
};
