// The bus end to end, from a durable write to the moment when the event is handled and that is committed, beside a floor and peers.
//   npm run bench -- bus [--part burst,idle,growth] [--only floor,postgres] [--events 200000] [--rounds 5]
import process from 'node:process';
import { parseArgs } from 'node:util';
import { measureBurst } from './bus/burst.mjs';
import { makeGates } from './bus/gates.mjs';
import { measureGrowth } from './bus/growth.mjs';
import { measureIdle } from './bus/idle.mjs';
import { startKafka, startPostgres } from './bus/servers.mjs';

const systems = {
  floor: { title: 'floor: multi-row insert and a bare reader', file: 'floor.mjs', server: 'postgres', parts: ['burst'] },
  postgres: {
    title: '**the bus on Postgres**',
    file: 'event-bus.mjs',
    server: 'postgres',
    gate: { peer: 'floor', speedLeast: 0.65, cpuMost: 1.7 },
    own: true,
    parts: ['burst', 'idle', 'growth'],
  },
  'postgres-contracts': {
    title: 'the same, events checked against their contract by both sides',
    file: 'event-bus.mjs',
    server: 'postgres',
    load: { checked: true },
    parts: ['burst'],
  },
  'postgres-inbox': {
    title: 'the same, and an inbox in the transaction of each batch',
    file: 'event-bus.mjs',
    server: 'postgres',
    load: { checked: true, inbox: true },
    labels: { rest: 'inbox and other tables' },
    parts: ['burst'],
  },
  'pg-boss': { title: 'pg-boss', file: 'pg-boss.mjs', server: 'postgres', parts: ['burst'] },
  'graphile-worker': { title: 'graphile-worker', file: 'graphile-worker.mjs', server: 'postgres', parts: ['burst'] },
  // An idempotent producer takes one send at a time; what four callers hand over meanwhile is the next one.
  kafkajs: {
    title: 'kafkajs alone, sends of 400 one by one',
    file: 'kafkajs.mjs',
    server: 'kafka',
    load: { callers: 1, batchSize: 400 },
    parts: ['burst', 'idle'],
  },
  'kafkajs-4': { title: 'kafkajs alone, four sends of 100 at once', file: 'kafkajs.mjs', server: 'kafka', parts: ['burst'] },
  kafka: {
    title: '**the bus on Kafka**',
    file: 'event-bus.mjs',
    server: 'kafka',
    gate: { peer: 'kafkajs', speedLeast: 0.8 },
    own: true,
    parts: ['burst', 'idle', 'growth'],
  },
  outbox: {
    title: 'outbox and relay to the bus on Postgres',
    file: 'outbox.mjs',
    server: 'postgres',
    labels: { consumer: 'relay', rest: 'outbox and other tables' },
    parts: ['growth'],
  },
};
const measures = { burst: measureBurst, idle: measureIdle, growth: measureGrowth };
const eventsOf = { burst: 200_000, idle: 1_000, growth: 1_000_000 };
const starts = { postgres: startPostgres, kafka: startKafka };

const { values } = parseArgs({
  options: {
    part: { type: 'string', default: Object.keys(measures).join(',') },
    only: { type: 'string', default: Object.keys(systems).join(',') },
    events: { type: 'string' },
    rounds: { type: 'string', default: '5' },
  },
});
const wanted = values.events === undefined ? undefined : Number(values.events);
const parts = values.part.split(',');
const chosen = values.only.split(',');
for (const part of parts)
  if (!measures[part]) throw new Error(`There is no part "${part}"; there are: ${Object.keys(measures).join(', ')}`);
for (const name of chosen)
  if (!systems[name]) throw new Error(`There is no system "${name}"; there are: ${Object.keys(systems).join(', ')}`);

const systemsOf = (part) =>
  new Map(Object.entries(systems).filter(([name, system]) => chosen.includes(name) && system.parts.includes(part)));
const gates = makeGates();
const servers = {};
try {
  for (const part of parts) for (const { server } of systemsOf(part).values()) servers[server] ??= await starts[server]();
  for (const part of parts.filter((each) => systemsOf(each).size > 0)) {
    // Fewer for a try; more would make the idle part last for hours.
    const events = part === 'idle' ? Math.min(eventsOf.idle, wanted ?? eventsOf.idle) : (wanted ?? eventsOf[part]);
    await measures[part](systemsOf(part), servers, { events, rounds: Number(values.rounds), gates });
  }
} finally {
  for (const server of Object.values(servers)) await server.stop();
}
if (!gates.allHeld()) process.exitCode = 1;
