import { existsSync } from 'node:fs';
import { lockDataFolder, removeData } from '../data/data-folder.js';
import { readEnv } from '../env.js';
import { repositoryRoot } from '../repository-root.js';
import { confirm } from './confirm.js';
import { parseOptions } from './options.js';

const usage = 'npm run reset [-- --yes]';

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
    const consequence = `This deletes all data in ${dataDir}`;
    if (!yes && !(await confirm(consequence, `Delete all data in ${dataDir}? It cannot be brought back.`, usage))) {
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
