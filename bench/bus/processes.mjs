import { readdirSync, readFileSync } from 'node:fs';

// What /proc counts in is a hundredth of a second on every Linux.
const ticksASecond = 100;

const statOf = (pid) => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command name in parentheses may hold blanks and parentheses of its own, so fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(fields[1]), own: Number(fields[11]) + Number(fields[12]), ended: Number(fields[13]) + Number(fields[14]) };
};

/** CPU seconds that a process has used so far, all its threads included. */
export const cpuSeconds = (pid) => statOf(pid).own / ticksASecond;

/** The same of a process, its living children and those that have ended: a Postgres server with all its backends. */
export const familyCpuSeconds = (pid) => {
  const { own, ended } = statOf(pid);
  let ticks = own + ended;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const child = statOf(name);
      if (child.parent === pid) ticks += child.own + child.ended;
    } catch {
      // Ended since the folder was listed; its time is in its parent's by the next look.
    }
  }
  return ticks / ticksASecond;
};

/** Resident memory of a process in MB. */
export const residentMb = (pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000;
