import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

/** Held until it is released or its process is gone. */
export interface FolderLock {
  release(): void;
}

const sqliteBusy = 5;

// A process that has just been killed is listed, with its locks, for another moment.
const dyingMs = 1_000;

const tryLock = (folder: string): FolderLock | undefined => {
  const file = new DatabaseSync(join(folder, 'lock'));
  try {
    file.exec('pragma journal_mode = memory; begin exclusive');
  } catch (error) {
    file.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return undefined;
    throw error;
  }
  return { release: () => void (file.isOpen && file.close()) };
};

/**
 * Takes the one lock of a folder; undefined when another process has it. Throws when the folder cannot be written.
 *
 * The lock is SQLite's own on an empty file, which is a lock of the kernel: it ends with its process, also by kill -9, so it never goes
 * stale, and taking it has no race; Node offers no other way to such a lock. Such locks fall when the same process opens and closes the
 * file by other means, so nothing here reads it.
 */
export const lockFolder = async (folder: string): Promise<FolderLock | undefined> => {
  for (const deadline = Date.now() + dyingMs; ; await sleep(50)) {
    const lock = tryLock(folder);
    if (lock || Date.now() > deadline) return lock;
  }
};
