import { spawnSync } from 'node:child_process';
import { afterEach, expect, it, vi } from 'vitest';
import { freePort } from './free-port.js';

afterEach(() => vi.restoreAllMocks());

// Broken by: one port for two servers, of which neither has it yet.
it('tells a port to one alone, in this process and in others', async () => {
  const port = await freePort();
  const same = (port - 20_000 + 0.5) / 12_000;
  vi.spyOn(Math, 'random').mockReturnValueOnce(same);
  expect(await freePort()).not.toBe(port);
  const library = new URL('../../dist/index.js', import.meta.url).href;
  const program = `Math.random = () => ${same};
    const { freePort } = await import(${JSON.stringify(library)});
    console.log(await freePort().catch((error) => error.message));`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(stdout).toBe('No free port between 20000 and 32000 on 127.0.0.1\n');
});
