// npm run gen [-- --allow-breaking] | npm run gen:check: the generated files that are committed, written or compared.
import { join } from 'node:path';
import process from 'node:process';
import { build } from './build.mjs';

const root = join(import.meta.dirname, '..');
build(root, 'libs/contracts/tsconfig.json', 'services/*/tsconfig.json');
const { main } = await import('./gen/main.ts');
process.exitCode = await main(root, process.argv.slice(2));
