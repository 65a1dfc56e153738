// npm run lint [-- --fix]: format, style, types, import boundaries, what nobody uses, and the house style. No network is used.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '..');
const code = '**/*.{ts,mjs,cjs}';
const folders = ['libs', 'services', 'deploy', 'tools', 'bench'];
const cache = (name) => ['--cache', '--cache-location', `node_modules/.cache/pca/${name}`];

/** Name, program below node_modules, arguments, and the arguments that let it repair what it can. */
const steps = [
  [
    'format',
    'prettier/bin/prettier.cjs',
    ['--check', '--log-level', 'warn', ...cache('prettier'), code],
    ['--write', '--log-level', 'warn', code],
  ],
  ['types', 'typescript/bin/tsc', ['-p', 'tsconfig.spec.json']],
  ['types in a browser', 'typescript/bin/tsc', ['-p', 'libs/sdk/tsconfig.spec.json']],
  ['style', 'eslint/bin/eslint.js', [...cache('eslint'), '--cache-strategy', 'content', '.'], ['--fix', '.']],
  ['boundaries', 'dependency-cruiser/bin/dependency-cruise.mjs', ['--config', '.dependency-cruiser.cjs', ...folders]],
  ['unused', 'knip/bin/knip.js', ['--no-config-hints']],
  ['tidy', 'vitest/vitest.mjs', ['run', '--reporter', 'dot', 'tools/tidy.spec.ts']],
];

const fix = process.argv.includes('--fix');
mkdirSync(join(root, 'node_modules/.cache/pca'), { recursive: true });
let failed = 0;
for (const [name, program, args, fixing] of steps) {
  const started = performance.now();
  const run = spawnSync(process.execPath, [join(root, 'node_modules', program), ...(fix && fixing ? fixing : args)], {
    cwd: root,
    encoding: 'utf8',
  });
  const ok = run.status === 0;
  if (!ok) failed++;
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (!ok) console.log(`${run.stdout}${run.stderr}`);
}
console.log(
  failed === 0
    ? `lint: all ${steps.length} checks passed`
    : `lint: ${failed} of ${steps.length} checks failed; "npm run lint -- --fix" repairs format and some style`,
);
process.exitCode = failed === 0 ? 0 : 1;
