import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { bundle } from './bundle.js';

// Broken by: a dependency, or a feature that every page would pay for.
it('costs a page at most 6 kB, gzipped', async () => {
  const bytes = gzipSync(await bundle(`export { createClient } from '@pca/sdk'`, 'browser'), { level: 9 }).length;
  process.stdout.write(`@pca/sdk in a browser: ${bytes} bytes gzipped\n`);
  expect(bytes).toBeLessThanOrEqual(6_000);
});

// Broken by: a release that forgets to say its new number to the server.
it('tells the version of its package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  for (const [program, platform] of [
    [`export { createClient } from '@pca/sdk'`, 'browser'],
    [`export { createClient } from '@pca/sdk/node'`, 'node'],
  ] as const) {
    expect(Buffer.from(await bundle(program, platform)).toString()).toContain(`name:"@pca/sdk",version:"${version}"`);
  }
});
