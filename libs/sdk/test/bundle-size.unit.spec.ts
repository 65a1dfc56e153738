import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { bundle } from './bundle.js';

// Broken by: a dependency, or a feature that every page would pay for.
it('costs a page at most 6 kB, gzipped', async () => {
  const bytes = gzipSync(await bundle(`export { createClient } from '@pca/sdk'`, 'browser'), { level: 9 }).length;
  process.stdout.write(`@pca/sdk in a browser: ${bytes} bytes gzipped\n`);
  expect(bytes).toBeLessThanOrEqual(6_000);
});
