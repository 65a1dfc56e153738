import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { askGraphql } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RunningSystem, runningSystem } from './running-system.js';

let system: RunningSystem;
beforeAll(async () => {
  // Compiled code that the test run keeps for all processes is not what is measured.
  system = await runningSystem({ env: { NODE_COMPILE_CACHE: '' } });
  await system.start();
});
afterAll(() => system.remove());

const rows = 400_000;
const megabytes = 300;
const campaigns = 50;

/** A file of wide rows: memory that grew with bytes would show as well as memory that grew with rows. */
const writeFile = async (path: string): Promise<number> => {
  const file = await open(path, 'w');
  const note = 'n'.repeat(Math.floor((megabytes * 1_000_000) / rows) - 30);
  let bytes = (await file.write('date,campaign id,ad,clicks,note\n')).bytesWritten;
  for (let n = 0; n < rows; n += 4000) {
    let text = '';
    for (let row = n; row < n + 4000; row++)
      text += `2026-02-${String(1 + (row % 28)).padStart(2, '0')},c${row % campaigns},${row},1,${note}\n`;
    bytes += (await file.write(text)).bytesWritten;
  }
  await file.close();
  return bytes;
};

const peakMegabytes = (pid: number | undefined): number =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000;

it('imports a file far larger than the memory it may use, at the service and at the gateway', async () => {
  const before = Object.fromEntries(
    (system.run()?.services ?? []).map(({ name, process: running }) => [name, peakMegabytes(running?.pid)]),
  );
  const path = join(system.dataDir, 'wide.csv');
  const bytes = await writeFile(path);
  expect(bytes).toBeGreaterThan(megabytes * 950_000);
  const { code, stdout, stderr } = await system.command('import', '--format', 'generic', '--platform', 'Google', '--currency', 'USD', path);
  expect(code, stderr).toBe(0);
  expect(stdout).toContain(`${rows.toLocaleString('en-US')} rows of ${campaigns} campaigns taken in, 0 rejected`);
  expect(stderr, 'progress').toMatch(/reading \d+ %[\s\S]*storing \d+ %/);
  const token = (await system.command('token', '--role', 'viewer')).stdout.trim();
  const { data } = await askGraphql(system.gatewayUrl, token, '{ metrics { totals { clicks } } }');
  expect(data).toEqual({ metrics: { totals: { clicks: rows } } });
  const peaks = Object.fromEntries((system.run()?.services ?? []).map(({ name, process: running }) => [name, peakMegabytes(running?.pid)]));
  process.stdout.write(`peak memory, MB: ${JSON.stringify(before)} before, ${JSON.stringify(peaks)} after\n`);
  for (const name of ['campaigns', 'gateway']) expect(peaks[name], name).toBeLessThan(300);
}, 600_000);
