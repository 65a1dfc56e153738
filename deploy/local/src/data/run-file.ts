import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isSameProcess, type ProcessIdentity } from '@pca/embedded-postgres';

/** What runs on a data folder, for other commands; written whole at every change and removed by a clean end. */
export interface RunFile extends ProcessIdentity {
  readonly startedAt: string;
  readonly gatewayUrl: string;
  readonly postgres: RunningServer;
  /** Absent when events do not travel over Kafka. */
  readonly kafka?: RunningServer;
  readonly services: readonly RunningService[];
}

export interface RunningServer {
  /** Whether it is ours. */
  readonly embedded: boolean;
  readonly port?: number;
  readonly state: string;
}

export interface RunningService {
  readonly name: string;
  readonly url: string;
  readonly state: string;
  readonly restarts: number;
  /** Absent while it is not running. */
  readonly process?: ProcessIdentity;
}

export const writeRunFile = (path: string, run: RunFile): void => {
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, `${JSON.stringify(run, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(unfinished, path);
};

export const removeRunFile = (path: string): void => rmSync(path, { force: true });

/** What stands in the file, of a living supervisor or of one that was killed. */
export const readRunFile = (path: string): RunFile | undefined => {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RunFile;
  } catch {
    return undefined;
  }
};

/** The system that runs now; undefined when there is none, even if one was killed and left its file. */
export const readRunning = (path: string): RunFile | undefined => {
  const run = readRunFile(path);
  return run && isSameProcess(run) ? run : undefined;
};
