import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isPortFree } from '@pca/embedded-postgres';
import { readRunFile, type RunFile } from '../src/data/run-file.js';

const root = join(import.meta.dirname, '../../..');
const main = join(root, 'deploy/local/dist/main.js');

export interface RunningSystem {
  readonly dataDir: string;
  /** The environment that it runs in. */
  readonly env: NodeJS.ProcessEnv;
  readonly gatewayUrl: string;
  /** What it wrote so far, for the message of a failure. */
  output(): string;
  run(): RunFile | undefined;
  /** Starts it on its data; resolves when every service is ready. */
  start(): Promise<void>;
  /** SIGTERM, as Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Sends a signal to the supervisor and resolves with its exit code. */
  signal(name: NodeJS.Signals): Promise<number | null>;
  /** kill -9 of the supervisor alone. */
  killSupervisor(): Promise<void>;
  /** A command of the same instance, such as token or import. */
  command(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** Processes that have this system's data folder in their environment or arguments. */
  processes(): { pid: number; command: string }[];
  /** Ends what is left and removes the data. */
  remove(): Promise<void>;
}

const portsMin = 10_000;
/** Of one system: its gateway and, after a base, one for each service. */
const portsEach = 10;
const systems = 1_000;
const workers = 10;

/** Below the ports that servers choose for themselves, and apart from those of other workers of the same test run. */
const freePorts = async (): Promise<{ gateway: number; base: number }> => {
  const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % workers;
  for (;;) {
    const gateway = portsMin + portsEach * (worker + workers * Math.floor(Math.random() * (systems / workers)));
    const free = await Promise.all(Array.from({ length: portsEach }, (_unused, n) => isPortFree(gateway + n)));
    if (free.every(Boolean)) return { gateway, base: gateway + 1 };
  }
};

interface RunningSystemOptions {
  /** A folder of services instead of those of the repository. */
  readonly services?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The built system as its users run it, on a data folder and ports of its own. */
export const runningSystem = async ({ services, env: more = {} }: RunningSystemOptions = {}): Promise<RunningSystem> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'pca-system-'));
  const { gateway, base } = await freePorts();
  const env = {
    ...process.env,
    PCA_DATA_DIR: dataDir,
    PCA_PORT: String(gateway),
    PCA_PORT_BASE: String(base),
    NO_COLOR: '1',
    INIT_CWD: root,
    ...more,
  };
  let supervisor: ChildProcess | undefined;
  let output = '';

  const launch = (args: string[]): ChildProcess =>
    spawn(process.execPath, [main, ...args], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const run = (): RunFile | undefined => readRunFile(join(dataDir, 'run.json'));
  const ended = (child: ChildProcess): Promise<number | null> =>
    child.exitCode !== null || child.signalCode !== null
      ? Promise.resolve(child.exitCode)
      : new Promise((resolve) => child.once('exit', resolve));
  const signal = async (name: NodeJS.Signals): Promise<number | null> => {
    if (!supervisor) return null;
    supervisor.kill(name);
    return ended(supervisor);
  };
  const stop = (): Promise<number | null> => signal('SIGTERM');
  const system: RunningSystem = {
    dataDir,
    env,
    gatewayUrl: `http://127.0.0.1:${gateway}`,
    output: () => output,
    run,
    signal,
    stop,
    start: async () => {
      const child = launch(['start', ...(services === undefined ? [] : ['--services', services])]);
      output = '';
      supervisor = child;
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-200_000)));
      const deadline = Date.now() + 170_000;
      for (;;) {
        const services = run()?.services ?? [];
        if (run()?.pid === child.pid && services.length > 0 && services.every(({ state }) => state === 'ready')) return;
        if (child.exitCode !== null || Date.now() > deadline) throw new Error(`The system did not start:\n${output}`);
        await sleep(50);
      }
    },
    killSupervisor: async () => {
      supervisor?.kill('SIGKILL');
      if (supervisor) await ended(supervisor);
    },
    command: async (...args) => {
      const child = launch(args);
      let stdout = '';
      let stderr = '';
      child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      return { code, stdout, stderr };
    },
    processes: () => processesOf(dataDir),
    remove: async () => {
      await stop();
      for (let wait = 0; processesOf(dataDir).length > 0 && wait < 100; wait++) await sleep(100);
      for (const { pid } of processesOf(dataDir)) process.kill(pid, 'SIGKILL');
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
  return system;
};

const processesOf = (dataDir: string): { pid: number; command: string }[] =>
  readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      const state = /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      return state !== 'Z' && (command.includes(dataDir) || environment.includes(dataDir)) ? [{ pid, command }] : [];
    } catch {
      // It ended between the listing and the look.
      return [];
    }
  });
