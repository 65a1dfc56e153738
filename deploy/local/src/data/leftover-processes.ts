import { setTimeout as sleep } from 'node:timers/promises';
import { isSameProcess, type ProcessIdentity } from '@pca/embedded-postgres';
import type { RunFile } from './run-file.js';

const drainMs = 11_000;

/**
 * Services of a supervisor that was killed: they notice and drain by themselves, so they get the time for it; one that hangs is ended. The
 * caller holds the lock of the data folder, so that whoever wrote the file is gone.
 */
export const endLeftoverProcesses = async (run: RunFile | undefined, say: (message: string) => void): Promise<void> => {
  const left = (): ProcessIdentity[] =>
    (run?.services ?? []).flatMap(({ process: identity }) => (identity && isSameProcess(identity) ? [identity] : []));
  if (left().length === 0) return;
  say('an earlier run was killed; its services are still ending');
  for (const deadline = Date.now() + drainMs; Date.now() < deadline && left().length > 0; await sleep(50));
  for (const { pid } of left()) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      // It ended between the look and the signal.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
};
