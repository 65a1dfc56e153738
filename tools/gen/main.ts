import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { committedApi, breakingChangesOf } from './breaking-changes.ts';
import { CompositionFailed } from './compose.ts';
import { apiSchemaPath, type Generated, generate } from './generate.ts';
import { stalenessOf } from './staleness.ts';

/** Writes every generated file, or with `--check` names each stale one. Returns the exit code. */
export const main = async (root: string, args: readonly string[]): Promise<number> => {
  const unknown = args.filter((arg) => arg !== '--check' && arg !== '--allow-breaking');
  if (unknown.length > 0) return fail(`Unknown option ${unknown.join(' ')}; there are --check and --allow-breaking.`);
  let files: Generated;
  try {
    files = await generate(root);
  } catch (error) {
    return fail(error instanceof CompositionFailed ? error.message : ((error as Error).stack ?? String(error)));
  }
  return args.includes('--check') ? check(root, files) : write(root, files, args.includes('--allow-breaking'));
};

const check = (root: string, files: Generated): number => {
  const stale = stalenessOf(root, files);
  for (const { path, hint } of stale) console.error(`stale: ${path}\n${hint}`);
  if (stale.length > 0) return fail(`${stale.length} of ${files.size} generated files are stale; run "npm run gen" and commit the result.`);
  console.log(`${files.size} generated files are up to date`);
  return 0;
};

const write = (root: string, files: Generated, allowBreaking: boolean): number => {
  const committed = committedApi(root, apiSchemaPath);
  const changes = breakingChangesOf(committed, files.get(apiSchemaPath));
  for (const change of changes) console.error(`breaking: ${change}`);
  if (changes.length > 0 && !allowBreaking) {
    return fail(`Clients of the last commit would break, so nothing was written. If that is meant: npm run gen -- --allow-breaking`);
  }
  const stale = stalenessOf(root, files);
  for (const { path } of stale) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, files.get(path) ?? '');
    console.log(`wrote ${path}`);
  }
  console.log(`${files.size} generated files, ${stale.length} of them changed`);
  return 0;
};

const fail = (message: string): number => {
  console.error(message);
  return 1;
};
