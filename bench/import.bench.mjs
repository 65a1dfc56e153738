// A large file through the gateway: rows a second beside a bare COPY of the same numbers, and the peak memory of each process.
// MEGABYTES makes it smaller for a try.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedPostgres } from '@pca/embedded-postgres';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { printTable } from './lib/measure.mjs';

const megabytes = Number(process.env.MEGABYTES ?? 1000);
const folder = await mkdtemp(join(tmpdir(), 'pca-bench-'));
const file = join(folder, 'big.csv');
const env = { ...process.env, PCA_DATA_DIR: join(folder, 'data'), PCA_PORT: '18900', PCA_PORT_BASE: '18910' };
const main = 'deploy/local/dist/main.js';
const ages = ['18-24', '25-34', '35-44'];
const firstDay = Date.UTC(2025, 0, 1);

const writeFile = async () => {
  const out = createWriteStream(file);
  let bytes = 0;
  let rows = 0;
  const write = async (text) => {
    bytes += Buffer.byteLength(text);
    if (!out.write(text)) await new Promise((resolve) => out.once('drain', resolve));
  };
  await write('Day,Campaign ID,Campaign,Ad ID,Age,Impr.,Clicks,Cost,Conversions,Conv. value\n');
  while (bytes < megabytes * 1e6) {
    let text = '';
    for (let n = 0; n < 5000; n++, rows++) {
      const day = new Date(firstDay + (Math.floor(rows / 1000) % 365) * 86_400_000).toISOString().slice(0, 10);
      const ad = Math.floor(rows / 365_000);
      text += `${day},${100_000 + (rows % 1000)},"Campaign number ${rows % 1000}, all regions",${900_000 + ad},${ages[ad % 3]},`;
      text += `${rows % 5000},${rows % 300},${(rows % 99_999) / 100},${rows % 7}.5,${(rows % 5555) / 10}\n`;
    }
    await write(text);
  }
  await new Promise((resolve) => out.end(resolve));
  return rows;
};

const run = (args) => spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
const ended = (child) => new Promise((resolve) => child.once('exit', resolve));
const services = async () => JSON.parse(await readFile(join(env.PCA_DATA_DIR, 'run.json'), 'utf8').catch(() => '{"services":[]}')).services;
const peakOf = async (pid) => Number(/^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1]) / 1000;

async function* copyRows(rows) {
  for (let row = 0; row < rows; row += 5000) {
    let text = '';
    for (let n = row; n < Math.min(rows, row + 5000); n++) {
      text += `${n % 1000}\t2025-01-01\t[["ad_id","${900_000 + (n % 30)}"]]\t${n % 5000}\t${n % 300}\t${n % 99_999}\t${n % 7}\t${n % 5555}\n`;
    }
    yield text;
  }
}

const floorSeconds = async (rows) => {
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'floor') });
  const client = new pg.Client({ connectionString: postgres.url('postgres') });
  await client.connect();
  await client.query('create table floor (c int, d date, k text, a bigint, b bigint, e bigint, f bigint, g bigint)');
  const started = performance.now();
  await pipeline(copyRows(rows), client.query(copyFrom('copy floor from stdin')));
  const seconds = (performance.now() - started) / 1000;
  await client.end();
  await postgres.stop();
  return seconds;
};

try {
  const rows = await writeFile();
  const supervisor = run(['start']);
  supervisor.stdout.resume();
  for (let tries = 0; tries < 600; tries++) {
    const states = await services();
    if (states.length > 0 && states.every(({ state }) => state === 'ready')) break;
    await sleep(100);
  }
  const results = [];
  for (const name of ['first time', 'again, nothing new']) {
    const started = performance.now();
    const importing = run(['import', '--format', 'generic', '--platform', 'Google', '--currency', 'EUR', file]);
    importing.stdout.pipe(process.stderr);
    if ((await ended(importing)) !== 0) throw new Error('the import failed');
    results.push([name, (performance.now() - started) / 1000]);
  }
  const peaks = await Promise.all(
    (await services()).map(async ({ name, process: { pid } }) => `${name} ${(await peakOf(pid)).toFixed(0)} MB`),
  );
  supervisor.kill('SIGTERM');
  await ended(supervisor);
  const floor = await floorSeconds(rows);
  console.log(`${megabytes} MB, ${rows.toLocaleString('en-US')} rows, 1,000 campaigns; peak memory: ${peaks.join(', ')}\n`);
  printTable(
    ['import', 'seconds', 'rows a second', 'of the bare COPY'],
    [...results, ['bare COPY of as many rows', floor]].map(([name, seconds]) => [
      name,
      seconds.toFixed(0),
      Math.round(rows / seconds).toLocaleString('en-US'),
      (floor / seconds).toFixed(2),
    ]),
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
