import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A process told apart from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in whatever form the system tells; only good for comparison. */
  readonly started: string;
}

const startedOnLinux = (pid: number): string | undefined => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command name in parentheses may hold blanks and parentheses of its own, so fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
};

/** The identity of a living process; undefined when there is none with this number. */
export const processIdentity = (pid: number): ProcessIdentity | undefined => {
  try {
    const started =
      process.platform === 'linux'
        ? startedOnLinux(pid)
        : execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return started === undefined || started === '' ? undefined : { pid, started };
  } catch {
    return undefined;
  }
};

export const isSameProcess = (identity: ProcessIdentity): boolean => processIdentity(identity.pid)?.started === identity.started;
