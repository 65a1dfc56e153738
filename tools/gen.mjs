// npm run gen [-- --allow-breaking] | npm run gen:check: the generated files that are committed, written or compared.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

if (Number(process.versions.node.split('.')[0]) < 24) {
  console.error(`Node 24 is needed, this is ${process.version}; use "npm run gen", which brings its own.`);
  process.exit(1);
}

const root = join(import.meta.dirname, '..');

// The generators read what the compiler emitted: decorators need their metadata, which running the sources would not give.
const projects = globSync('{libs/contracts,services/*}/tsconfig.json', { cwd: root }).sort();
const build = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', ...projects], {
  cwd: root,
  stdio: 'inherit',
});
if (build.status !== 0) process.exit(1);

const { main } = await import('./gen/main.ts');
process.exitCode = await main(root, process.argv.slice(2));
