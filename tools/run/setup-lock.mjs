import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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

/** Makes the lock's file with its content in one step, so that a kill in between leaves no lock that names nobody. */
const take = (file) => {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, file);
  } finally {
    rmSync(own, { force: true });
  }
};

/** Puts a dead command's lock aside. Two that both see it dead do so one after the other: what the second moves is looked at again. */
const discard = (file) => {
  const aside = `${file}.${process.pid}.dead`;
  try {
    renameSync(file, aside);
    if (isAlive(holder(aside))) linkSync(aside, file);
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
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
      take(file);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw new SetupFailed(`Cannot write to the repository (${error.code} ${error.path ?? folder})`);
      const pid = holder(file);
      if (pid && !isAlive(pid)) discard(file);
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
