/**
 * Runs the server below it for an owner that it talks to over IPC, and shuts it down when the owner is gone in any way. It
 * outlives the owner for as long as that takes. It imports nothing of this package, so that Node runs it from its source as well.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';

interface Companion {
  readonly pid: number;
  readonly started: string;
}

interface Order {
  readonly file: string;
  readonly args: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
  /** A folder to remove once the server has ended. */
  readonly temporaryFolder?: string;
}

type Message = { readonly type: 'stop' } | { readonly type: 'companions'; readonly companions: readonly Companion[] };

const companionsMs = 10_000;
const fastShutdownMs = 30_000;
const immediateShutdownMs = 5_000;

const order = JSON.parse(process.argv[2] ?? '') as Order;
let companions: readonly Companion[] = [];
let ending = false;

// The server's words go straight to the owner's pipe; nothing of them passes through here.
const server = spawn(order.file, order.args, {
  cwd: '/',
  stdio: ['ignore', 'inherit', 'inherit'],
  ...(order.uid === undefined ? {} : { uid: order.uid, gid: order.gid }),
});

const tell = (message: unknown): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const isAlive = ({ pid, started }: Companion): boolean => {
  try {
    process.kill(pid, 0);
    if (process.platform !== 'linux') return true;
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] !== 'Z' && fields[19] === started;
  } catch {
    return false;
  }
};

const signalGroup = ({ pid }: Companion, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal);
  } catch {
    // It ended in the meantime.
  }
};

/** The programs that use the server end before it does, so that what they are about to commit gets through; one that hangs is ended. */
const endCompanions = async (): Promise<void> => {
  const deadline = Date.now() + companionsMs;
  for (const companion of companions.filter(isAlive)) signalGroup(companion, 'SIGTERM');
  while (companions.some(isAlive) && Date.now() < deadline) await sleep(20);
  for (const companion of companions.filter(isAlive)) signalGroup(companion, 'SIGKILL');
};

/**
 * For Postgres: fast shutdown (sessions are rolled back, a checkpoint is written), then the crash-safe ones. For Java: a clean end, then a
 * listing of what hangs, and the kill.
 */
const endServer = (): void => {
  server.kill('SIGINT');
  setTimeout(() => server.kill('SIGQUIT'), fastShutdownMs).unref();
  setTimeout(() => server.kill('SIGKILL'), fastShutdownMs + immediateShutdownMs).unref();
};

const end = async (alone: boolean): Promise<void> => {
  if (ending) return;
  ending = true;
  if (alone) await endCompanions();
  endServer();
};

process.on('disconnect', () => void end(true));
process.on('message', (message: Message) => {
  if (message.type === 'stop') void end(false);
  else companions = message.companions;
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void end(true));

server.on('spawn', () => tell({ type: 'spawned', pid: server.pid }));
server.on('error', (error) => {
  tell({ type: 'failed', message: error.message });
  process.exitCode = 1;
  if (process.connected) process.disconnect();
});
server.on('exit', (code, signal) => {
  tell({ type: 'exited', code, signal });
  if (order.temporaryFolder !== undefined) rmSync(order.temporaryFolder, { recursive: true, force: true });
  ending = true;
  if (process.connected) process.disconnect();
});
