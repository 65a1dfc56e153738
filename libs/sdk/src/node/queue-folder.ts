import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, statSync, unlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { uuidv7 } from '../core/uuid.js';

/** A file whose process has not touched it for so long has no process any more, whoever has its pid now. */
const abandonedMs = 5 * 60_000;
const touchEveryMs = 60_000;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Closed files are nobody's: pid 0. In a container every process may have been pid 1: then an older file is of the one before. */
const isAbandoned = (pid: number, touchedMs: number): boolean =>
  pid === 0 ||
  Date.now() - touchedMs > abandonedMs ||
  (pid === process.pid ? touchedMs < Date.now() - process.uptime() * 1_000 : !isAlive(pid));

/**
 * The folder of queue files. Each client of each process writes to a file of its own, `PID-UUID.queue`; what a dead one left is taken over
 * by renaming it, which only one can do. Should a living one lose its file so, it notices and writes it again; both send then, which
 * counts once.
 */
export class QueueFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** A path that nobody else has. */
  ownPath(pid = process.pid): string {
    return join(this.#folder, `${pid}-${uuidv7()}.queue`);
  }

  /** Takes over what dead processes left. Answers with the paths, which are own now. */
  takeOver(): string[] {
    return readdirSync(this.#folder).flatMap((name) => {
      const [, pid, half] = /^(\d+)-.*\.queue(\.half)?$/.exec(name) ?? [];
      const path = join(this.#folder, name);
      try {
        if (pid === undefined || !isAbandoned(Number(pid), statSync(path).mtimeMs)) return [];
        if (half) {
          unlinkSync(path);
          return [];
        }
        const taken = this.ownPath();
        renameSync(path, taken);
        return [taken];
      } catch (error) {
        // Another process was faster.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });
  }

  /** Says again and again that the file has a living process. @param onGone called when it is not there any more. */
  keepAlive(path: string, onGone: () => void): NodeJS.Timeout {
    return setInterval(() => {
      try {
        utimesSync(path, new Date(), new Date());
      } catch {
        onGone();
      }
    }, touchEveryMs).unref();
  }

  /** Makes names durable, as fsync makes contents. */
  sync(): void {
    if (process.platform === 'win32') return;
    const descriptor = openSync(this.#folder, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}
