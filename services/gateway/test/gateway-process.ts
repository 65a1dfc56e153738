import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@pca/testing';

export interface GatewayProcess {
  url: string;
  child: ChildProcess;
  /** Everything that it printed. */
  output(): string;
  /** Waits for the end; SIGTERM first when it is still running. The exit code. */
  end(): Promise<number | null>;
}

/** dist/main.js as the supervisor starts it. Resolves when it answers or has ended. */
export const startGatewayProcess = async (env: NodeJS.ProcessEnv, nodeArguments: string[] = []): Promise<GatewayProcess> => {
  const port = await freePort();
  const child = spawn(process.execPath, [...nodeArguments, resolve(import.meta.dirname, '../dist/main.js')], {
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      ...env,
      LOG_LEVEL: 'info',
      PORT: String(port),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  const url = `http://127.0.0.1:${port}`;
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  while (
    !ended() &&
    !(await fetch(`${url}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await sleep(50);
  return {
    url,
    child,
    output: () => text,
    end: async () => {
      if (!ended()) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      return child.exitCode;
    },
  };
};
