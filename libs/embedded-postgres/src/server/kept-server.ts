import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { ProcessIdentity } from '../machine/process-identity.js';
import { keeperEnv } from './env.js';
import type { Command } from '../machine/run-as.js';

export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether stop() was called before. */
  readonly wanted: boolean;
}

/** A server that ends when this process does, however that comes. */
export interface KeptServer {
  readonly pid: number;
  readonly keeperPid: number;
  readonly exited: Promise<ServerExit>;
  lastLines(): string[];
  setCompanions(companions: readonly ProcessIdentity[]): void;
  stop(): Promise<void>;
}

interface KeepOptions {
  readonly command: Command;
  /** One line of what the server writes. */
  readonly onLog: (line: string) => void;
  /** A folder to remove once the server has ended. */
  readonly temporaryFolder?: string;
}

type KeeperMessage =
  | { readonly type: 'spawned'; readonly pid: number }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'exited'; readonly code: number | null; readonly signal: NodeJS.Signals | null };

const keptLines = 50;

// Tests run this package from its sources, where the keeper is TypeScript too; Node strips its types.
const keeperFile = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './keeper.ts' : './keeper.js', import.meta.url));

const readLines = (keeper: ChildProcess, onLine: (line: string) => void): void => {
  for (const stream of [keeper.stdout, keeper.stderr]) createInterface({ input: stream as Readable }).on('line', onLine);
};

const endServer = (pid: number): void => {
  try {
    process.kill(pid, 'SIGINT');
  } catch {
    // It ended with its keeper.
  }
};

/**
 * Starts the keeper, and a server of any kind below it; resolves when the server's process exists. It is ended by SIGINT, and when that
 * does not help by SIGQUIT and SIGKILL.
 */
export const keepServer = ({ command, onLog, temporaryFolder }: KeepOptions): Promise<KeptServer> =>
  new Promise((resolve, reject) => {
    const lines: string[] = [];
    let wanted = false;
    let last: { code: number | null; signal: NodeJS.Signals | null } = { code: null, signal: null };
    // A session of its own keeps a terminal's Ctrl-C away: the owner decides the order of ending.
    const keeper = fork(keeperFile, [JSON.stringify({ ...command, ...(temporaryFolder === undefined ? {} : { temporaryFolder }) })], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
      execArgv: [],
      env: keeperEnv(),
    });
    readLines(keeper, (line) => {
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      onLog(line);
    });
    // 'close' comes after the last line has been read; a server without its keeper holds the pipe until it has ended too.
    let pid: number | undefined;
    let told = false;
    const exited = new Promise<ServerExit>((settle) => keeper.on('close', () => settle({ ...last, wanted })));
    keeper.on('error', reject);
    // Where the kernel does not end the server with its keeper, a keeper that was killed leaves it running; then it ends here.
    keeper.on('exit', () => {
      if (!told && pid !== undefined) endServer(pid);
    });
    const send = (message: object): void => void (keeper.connected && keeper.send(message, () => undefined));
    const stop = async (): Promise<void> => {
      wanted = true;
      send({ type: 'stop' });
      await exited;
    };
    keeper.on('message', (message: KeeperMessage) => {
      if (message.type === 'failed') reject(new Error(`it cannot be run: ${message.message}`));
      if (message.type === 'exited') {
        told = true;
        last = { code: message.code, signal: message.signal };
      }
      if (message.type === 'spawned') {
        pid = message.pid;
        resolve({
          pid: message.pid,
          keeperPid: keeper.pid ?? 0,
          exited,
          lastLines: () => [...lines],
          setCompanions: (companions) => send({ type: 'companions', companions }),
          stop,
        });
      }
    });
    void exited.then(() => reject(new Error('its keeper ended')));
  });
