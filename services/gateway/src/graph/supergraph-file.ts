import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

const settleMs = 200;

export const readSupergraph = async (file: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`the supergraph cannot be read from ${file}`, { cause: error });
  }
};

/**
 * Calls `onChange` with the file's text when it has been written and lies still. Watches the folder: editors and deployments replace a file
 * by a
 * rename, after which a watch on the file itself would see the old one for ever. Returns how to stop.
 */
export const watchSupergraph = (file: string, onChange: (sdl: string) => void, onError: (error: unknown) => void): (() => void) => {
  let timer: NodeJS.Timeout | undefined;
  const reload = (): void => {
    readSupergraph(file).then(onChange, onError);
  };
  const watcher: FSWatcher = watch(dirname(file), { persistent: false }, (_event, name) => {
    if (name !== null && name !== basename(file)) return;
    clearTimeout(timer);
    timer = setTimeout(reload, settleMs);
  });
  watcher.on('error', onError);
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
};
