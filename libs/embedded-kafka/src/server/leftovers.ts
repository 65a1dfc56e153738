import { setTimeout as sleep } from 'node:timers/promises';
import { isSameProcess, type ProcessIdentity } from '@pca/embedded-postgres';
import type { StartRecord } from './storage.js';

/** A little more than a keeper gives the programs that use its server. */
const keeperMs = 14_000;
const shutdownMs = 30_000;
const dyingMs = 5_000;

const settled = async (condition: () => boolean, withinMs: number): Promise<boolean> => {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(50)) if (condition()) return true;
  return condition();
};

const signal = ({ pid }: ProcessIdentity, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name);
  } catch {
    // It ended in the meantime.
  }
};

/**
 * Ends the broker of an earlier owner that was killed; the caller holds the folder's lock, so nobody else owns it. A keeper that is still
 * at work gets the time to end everything in its order.
 */
export const endLeftovers = async ({ keeper, server }: StartRecord, onLog: (line: string) => void): Promise<void> => {
  if (!server || !isSameProcess(server)) return;
  const isGone = (): boolean => !isSameProcess(server);
  onLog('a broker of an earlier run is still there and is being shut down');
  if (keeper && (await settled(() => isGone() || !isSameProcess(keeper), keeperMs)) && isGone()) return;
  signal(server, 'SIGTERM');
  if (await settled(isGone, shutdownMs)) return;
  signal(server, 'SIGKILL');
  await settled(isGone, dyingMs);
};
