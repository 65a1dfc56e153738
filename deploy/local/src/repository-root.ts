import { resolve } from 'node:path';

/** Both the sources and what is built from them lie three folders below. */
export const repositoryRoot = resolve(import.meta.dirname, '../../..');
