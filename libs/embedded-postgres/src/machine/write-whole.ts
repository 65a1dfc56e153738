import { renameSync, writeFileSync } from 'node:fs';

/** Writes a file for its owner's eyes so that an end at any moment leaves the old text or the new one. */
export const writeWhole = (path: string, text: string): void => {
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, text, { mode: 0o600, flush: true });
  renameSync(unfinished, path);
};
