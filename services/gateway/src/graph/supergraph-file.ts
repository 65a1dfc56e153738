import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const settleMs = 200;

export const readSupergraph = async (file: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`the supergraph cannot be read from ${file}`, { cause: error });
  }
};

/**
 * Calls `onChange` with the file's text when that has become another one and lies still. Watches the folder: editors replace a file by a
 * rename, and some deployments swap a link beside it; a watch on the file itself would see the old one for ever. Returns how to stop.
 */
export const watchSupergraph = (
  file: string,
  read: string,
  onChange: (sdl: string) => void,
  onError: (error: unknown) => void,
): (() => void) => {
  let known = read;
  let timer: NodeJS.Timeout | undefined;
  const reload = async (): Promise<void> => {
    const sdl = await readSupergraph(file);
    if (sdl === known) return;
    known = sdl;
    onChange(sdl);
  };
  const watcher = watch(dirname(file), { persistent: false }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => void reload().catch(onError), settleMs);
  });
  watcher.on('error', onError);
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
};
