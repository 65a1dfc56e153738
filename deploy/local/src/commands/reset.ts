import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { lockDataFolder, removeData } from '../data/data-folder.js';
import { readEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { repositoryRoot } from '../repository-root.js';
import { parseOptions } from './options.js';

const usage = 'npm run reset [-- --yes]';

const confirmed = async (dataDir: string): Promise<boolean> => {
  if (!process.stdin.isTTY)
    throw new OperatorError(`This deletes all data in ${dataDir}: add --yes to do it without a question. Usage: ${usage}`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`Delete all data in ${dataDir}? It cannot be brought back. [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
};

/** Deletes the local data, after a question; never while a system runs on it. */
export const reset = async (args: readonly string[]): Promise<number> => {
  const { yes = false } = parseOptions(args, { yes: { type: 'boolean' } }, usage);
  const { dataDir } = readEnv(repositoryRoot);
  if (!existsSync(dataDir)) {
    process.stdout.write(`There is nothing in ${dataDir}.\n`);
    return 0;
  }
  const lock = await lockDataFolder(dataDir);
  try {
    if (!yes && !(await confirmed(dataDir))) {
      process.stdout.write('Nothing was deleted.\n');
      return 1;
    }
    removeData(dataDir, () => lock.release());
  } finally {
    lock.release();
  }
  process.stdout.write(`Deleted the data in ${dataDir}.\n`);
  return 0;
};
