import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** The Node that package.json pins, which the npm package "node" brings. */
export const pinnedNode = join(root, 'node_modules/node/bin/node');

/** The environment in which programs find that Node and the tools of the repository first. */
export const toolEnv = () => ({ ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH ?? ''}` });

/** Progress goes to stderr, so that what a command prints can be taken by another. */
export const tell = (text) => process.stderr.write(`${text}\n`);

export const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;
