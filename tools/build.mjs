import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

/**
 * Asserts the Node that the tools are written for, and compiles what they read: the emitted code has the metadata of decorators,
 * the sources do not.
 */
export const build = (root, ...patterns) => {
  if (Number(process.versions.node.split('.')[0]) < 24) {
    console.error(`Node 24 is needed, this is ${process.version}; "npm run" brings its own.`);
    process.exit(1);
  }
  const projects = fs.globSync(patterns, { cwd: root }).sort();
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', ...projects], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(1);
};
