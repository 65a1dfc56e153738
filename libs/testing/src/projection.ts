import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@pca/embedded-postgres';

/** The program of a service that keeps a projection of campaign events, see `fixture-projection.ts`; libs/testing must have been built. */
export const projectionMain = resolve(import.meta.dirname, '../dist/fixture-projection.js');

export interface ProjectionProcess {
  readonly url: string;
  /** What it wrote so far. */
  output(): string;
  /** Whether it is still there. */
  isAlive(): boolean;
  /** kill -9. */
  kill(): Promise<void>;
  /** Drains it; resolves with its exit code. */
  stop(): Promise<number | null>;
}

const bareEnv = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], NODE_ENV: 'test' };

const ended = async (child: ChildProcess): Promise<number | null> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
};

/** Starts an instance with the environment of a service; resolves when it is ready. */
export const startProjection = async (env: NodeJS.ProcessEnv): Promise<ProjectionProcess> => {
  const port = await freePort();
  const child = fork(projectionMain, [], {
    env: { ...bareEnv, ...env, PORT: String(port) },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output = (output + String(chunk)).slice(-100_000)));
  const url = `http://127.0.0.1:${port}`;
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
  while (!(await fetch(`${url}/health/ready`).catch(() => undefined))?.ok) {
    if (!isAlive()) throw new Error(`The projection ended with ${child.exitCode ?? child.signalCode}; was libs/testing built?\n${output}`);
    await sleep(20);
  }
  return {
    url,
    output: () => output,
    isAlive,
    kill: async () => {
      child.kill('SIGKILL');
      await ended(child);
    },
    stop: () => {
      child.kill('SIGTERM');
      return ended(child);
    },
  };
};

export interface RunningCommand {
  readonly ended: Promise<{ code: number | null; output: string }>;
  kill(): void;
}

/** Runs the program of the service as a command, such as `replay --group projection`. */
export const projectionCommand = (env: NodeJS.ProcessEnv, ...args: string[]): RunningCommand => {
  const child = spawn(process.execPath, [projectionMain, ...args], {
    env: { ...bareEnv, PORT: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  return { ended: once(child, 'close').then(() => ({ code: child.exitCode, output })), kill: () => void child.kill('SIGKILL') };
};
