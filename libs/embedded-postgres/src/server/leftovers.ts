import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isSameProcess, type ProcessIdentity } from '../machine/process-identity.js';

/** A little more than a keeper gives the programs that use its server. */
const keeperMs = 14_000;

export interface PostmasterFile {
  readonly pid: number;
  readonly ready: boolean;
}

/** What the server wrote about itself into its folder; undefined when there is nothing (complete). */
export const readPostmasterFile = (cluster: string): PostmasterFile | undefined => {
  const path = join(cluster, 'postmaster.pid');
  if (!existsSync(path)) return undefined;
  const lines = readFileSync(path, 'utf8').split('\n');
  const pid = Number(lines[0]);
  return Number.isInteger(pid) && pid > 0 ? { pid, ready: lines[7]?.trim() === 'ready' } : undefined;
};

const isServerProcess = (pid: number, cluster: string): boolean => {
  try {
    // The program may have been replaced since; then the link ends with " (deleted)".
    return readlinkSync(`/proc/${pid}/cwd`) === cluster && /\/postgres( \(deleted\))?$/.test(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return false;
  }
};

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};

const commandLine = (pid: number): string => {
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
};

/**
 * The living processes of this very cluster: every Postgres process works in its data folder. Elsewhere than on Linux only the postmaster
 * is known.
 */
export const clusterProcesses = (cluster: string): number[] => {
  if (process.platform === 'linux') {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && isServerProcess(pid, cluster));
  }
  const pid = readPostmasterFile(cluster)?.pid;
  return pid !== undefined && commandLine(pid).includes(cluster) ? [pid] : [];
};

const signal = (pids: readonly number[], name: NodeJS.Signals): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It ended in the meantime.
    }
  }
};

const settled = async (condition: () => boolean, withinMs: number): Promise<boolean> => {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(50)) if (condition()) return true;
  return condition();
};

/**
 * Ends what an earlier owner left running on this cluster; the caller holds the folder's lock, so nobody else owns it. A keeper that is
 * still at work gets the time to end everything in its order. Also removes a pid file whose number now belongs to a stranger, because
 * Postgres would refuse to start over it, and sockets, which have such files of their own.
 */
export const endLeftovers = async (cluster: string, keeper: ProcessIdentity | undefined, onLog: (line: string) => void): Promise<void> => {
  const isGone = (): boolean => clusterProcesses(cluster).length === 0;
  if (!isGone()) {
    onLog('a server of an earlier run is still there and is being shut down');
    if (keeper) await settled(() => isGone() || !isSameProcess(keeper), keeperMs);
    const postmaster = readPostmasterFile(cluster)?.pid;
    signal(
      clusterProcesses(cluster).filter((pid) => pid === postmaster),
      'SIGINT',
    );
    if (!(await settled(isGone, 15_000))) signal(clusterProcesses(cluster), 'SIGQUIT');
    if (!(await settled(isGone, 5_000))) signal(clusterProcesses(cluster), 'SIGKILL');
    await settled(isGone, 5_000);
  }
  const stranger = readPostmasterFile(cluster)?.pid;
  if (stranger !== undefined && isAlive(stranger)) rmSync(join(cluster, 'postmaster.pid'), { force: true });
  for (const socket of readdirSync(cluster).filter((name) => name.startsWith('.s.'))) rmSync(join(cluster, socket), { force: true });
};
