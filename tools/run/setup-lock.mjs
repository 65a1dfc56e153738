import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetupFailed } from './setup-failed.mjs';
import { root, tell } from './places.mjs';

const isAlive = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
};

const holder = (file) => {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
};

/**
 * Runs a piece of set-up that two commands in the same checkout must not do at once. A command that was killed leaves a lock that the next
 * one takes over.
 */
export const withSetupLock = async (work) => {
  const folder = join(root, '.nx');
  const file = join(folder, 'setup.lock');
  for (let told = false; ; await sleep(100)) {
    try {
      mkdirSync(folder, { recursive: true });
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw new SetupFailed(`Cannot write to the repository (${error.code} ${error.path ?? folder})`);
      const pid = holder(file);
      if (pid && !isAlive(pid)) rmSync(file, { force: true });
      else if (!told) tell(`Waiting for another command that sets up this repository (process ${pid})`);
      told ||= Boolean(pid);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
};
