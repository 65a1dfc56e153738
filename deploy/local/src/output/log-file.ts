import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

export interface LogFile {
  append(line: string): void;
  close(): void;
}

/** A file of log lines that never grows beyond twice `bytesMax`: when it is full it becomes the one old file, `<path>.1`. */
export const openLogFile = (path: string, onFault: (error: unknown) => void, bytesMax = 8 * 2 ** 20): LogFile => {
  let file = openSync(path, 'a', 0o600);
  let bytes = fstatSync(file).size;
  let broken = false;
  let closed = false;
  const turnOver = (): void => {
    closeSync(file);
    renameSync(path, `${path}.1`);
    file = openSync(path, 'a', 0o600);
    bytes = 0;
  };
  return {
    append: (line) => {
      if (closed) return;
      const text = Buffer.from(`${line}\n`);
      try {
        if (bytes > 0 && bytes + text.length > bytesMax) turnOver();
        bytes += writeSync(file, text);
        broken = false;
      } catch (error) {
        // A full disk must not take the system down with it; it is said once.
        if (!broken) onFault(error);
        broken = true;
      }
    },
    close: () => {
      if (!closed) closeSync(file);
      closed = true;
    },
  };
};
