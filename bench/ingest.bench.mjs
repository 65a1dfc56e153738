// Behaviour events over HTTP, through the gateway to analytics, durable and deduplicated, until they can be queried; beside one connection's
// COPY of the same events (floor) and a server that inserts one row a request (peer). Rates, CPU by stage, freshness, bytes.
//   npm run bench -- ingest [--part batches,singles,growth] [--only floor,keyed,peer,postgres,kafka] [--events 200000] [--rounds 3]
//     [--growth 1000000]
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { ensureLocalIssuer } from '@pca/service-kit';
import { makeGates } from './bus/gates.mjs';
import { startChild } from './ingest/child.mjs';
import { measureBatches } from './ingest/batches.mjs';
import { measureGrowth } from './ingest/growth.mjs';
import { startKafka, startPostgres } from './ingest/server.mjs';
import { measureSingles } from './ingest/singles.mjs';

const measures = { batches: measureBatches, singles: measureSingles, growth: measureGrowth };
const sides = ['floor', 'keyed', 'peer', 'postgres', 'kafka'];

const { values } = parseArgs({
  options: {
    part: { type: 'string', default: Object.keys(measures).join(',') },
    only: { type: 'string', default: sides.join(',') },
    events: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '3' },
    growth: { type: 'string', default: '1000000' },
  },
});
const parts = values.part.split(',');
const chosen = values.only.split(',');
for (const part of parts)
  if (!measures[part]) throw new Error(`There is no part "${part}"; there are: ${Object.keys(measures).join(', ')}`);
for (const side of chosen) if (!sides.includes(side)) throw new Error(`There is no side "${side}"; there are: ${sides.join(', ')}`);

const folder = await mkdtemp(join(tmpdir(), 'pca-bench-ingest-'));
const { jwksFile } = await ensureLocalIssuer(join(folder, 'issuer'));
const server = await startPostgres();
const kafka = chosen.includes('kafka') ? await startKafka() : undefined;
const load = await startChild('load.mjs');
const gates = makeGates();
try {
  const place = { server, kafka, load, jwksFile };
  const options = {
    chosen: new Set(chosen),
    events: Number(values.events),
    rounds: Number(values.rounds),
    growth: Number(values.growth),
    gates,
  };
  for (const part of parts) {
    await measures[part](place, options);
    console.log(
      `\nload average ${loadavg()
        .map((each) => each.toFixed(1))
        .join(' ')}\n`,
    );
  }
} finally {
  await load.stop();
  await kafka?.stop();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
if (!gates.allHeld()) process.exitCode = 1;
