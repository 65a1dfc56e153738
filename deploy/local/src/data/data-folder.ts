import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type FolderLock, lockFolder } from '@pca/embedded-postgres';
import { folderError, OperatorError } from '../operator-error.js';
import { readRunFile } from './run-file.js';

export interface DataPaths {
  readonly postgres: string;
  readonly kafka: string;
  readonly auth: string;
  readonly token: string;
  readonly logs: string;
  readonly run: string;
}

export const dataPaths = (dataDir: string): DataPaths => ({
  postgres: join(dataDir, 'postgres'),
  kafka: join(dataDir, 'kafka'),
  auth: join(dataDir, 'auth'),
  token: join(dataDir, 'auth', 'token'),
  logs: join(dataDir, 'logs'),
  run: join(dataDir, 'run.json'),
});

/**
 * Everything that the supervisor ever puts there; reset deletes these and nothing else, for the folder's name comes from the environment.
 */
const ownEntries = ['postgres', 'kafka', 'auth', 'logs', 'run.json', 'lock'];

const freeBytesMin = 256 * 2 ** 20;

/** Throws OperatorError when there is too little space to work with. */
export const checkSpace = (dataDir: string, freeBytes: number): void => {
  if (freeBytes >= freeBytesMin) return;
  throw new OperatorError(
    `Only ${Math.floor(freeBytes / 2 ** 20)} MB are free on the disk of ${dataDir}, ${freeBytesMin / 2 ** 20} MB are needed: make room or set PCA_DATA_DIR`,
  );
};

/**
 * Makes a folder and those above it one by one: Node's own recursive mkdir never returns where a file system refuses with ENOENT, as /proc
 * does.
 */
const makeFolder = (folder: string): void => {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  // Not closed to others: what is secret in it has a closed mode of its own, and Postgres may have to run as another user.
  mkdirSync(folder, { mode: 0o755 });
};

/** Makes the folder, and proves that it can be written. Throws OperatorError. */
export const prepareDataFolder = (dataDir: string): void => {
  try {
    makeFolder(dataDir);
    const { auth, logs } = dataPaths(dataDir);
    for (const folder of [auth, logs]) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const probe = join(dataDir, `.probe-${process.pid}`);
    writeFileSync(probe, 'x');
    rmSync(probe);
    const { bavail, bsize } = statfsSync(dataDir);
    checkSpace(dataDir, bavail * bsize);
  } catch (error) {
    throw folderError(dataDir, error);
  }
};

/** The one lock of a data folder. Throws OperatorError when another supervisor has it. */
export const lockDataFolder = async (dataDir: string): Promise<FolderLock> => {
  try {
    const lock = await lockFolder(dataDir);
    if (lock) return lock;
  } catch (error) {
    throw folderError(dataDir, error);
  }
  const other = readRunFile(dataPaths(dataDir).run);
  const who = other ? ` by process ${other.pid}, ${other.gatewayUrl}` : '';
  throw new OperatorError(
    `The data folder ${dataDir} is in use${who}: stop that one, or set PCA_DATA_DIR (and PCA_PORT, PCA_PORT_BASE) for a second`,
  );
};

/** Deletes what the supervisor made, the lock's file last, and the folder when that leaves it empty. */
export const removeData = (dataDir: string, release: () => void): void => {
  try {
    for (const entry of ownEntries.filter((name) => name !== 'lock')) rmSync(join(dataDir, entry), { recursive: true, force: true });
    release();
    rmSync(join(dataDir, 'lock'), { force: true });
    if (readdirSync(dataDir).length === 0) rmdirSync(dataDir);
  } catch (error) {
    throw folderError(dataDir, error);
  }
};

/** Writes a secret so that only its owner can read it, whatever mode an older file had. */
export const writeSecret = (path: string, text: string): void => {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
};
