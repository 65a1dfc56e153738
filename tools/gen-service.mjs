// npm run gen:service NAME: a new subgraph in services/NAME that builds, starts, is stitched into the graph and passes its tests.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { build } from './build.mjs';

const root = join(import.meta.dirname, '..');
build(root, 'libs/contracts/tsconfig.json');
const { createService, ServiceRefused } = await import('./gen-service/create-service.ts');
const [name = '', ...rest] = process.argv.slice(2);
try {
  if (rest.length > 0) throw new ServiceRefused('one name is expected: npm run gen:service NAME');
  const { port, files } = await createService(root, name);
  for (const file of files) console.log(`wrote ${file}`);
  const gen = spawnSync(process.execPath, [join(import.meta.dirname, 'gen.mjs')], { cwd: root, stdio: 'inherit' });
  if (gen.status !== 0) throw new ServiceRefused(`services/${name} is there, but "npm run gen" failed`);
  console.log(`services/${name} is a subgraph on port ${port}; its tests: npx vitest run services/${name}`);
} catch (error) {
  if (!(error instanceof ServiceRefused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
