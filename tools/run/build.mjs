import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedNode, root, seconds, tell, toolEnv } from './places.mjs';
import { SetupFailed } from './setup-failed.mjs';

const stampFile = join(root, '.nx/pca-build-stamp');

const filesBelow = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });

const projects = () =>
  ['libs', 'services', 'deploy']
    .flatMap((group) => readdirSync(join(root, group)).map((name) => join(root, group, name)))
    .filter((folder) => existsSync(join(folder, 'tsconfig.json')) && existsSync(join(folder, 'src')));

/**
 * What the last build was made from, by name, size and time: it spares the second that nx needs to find that nothing changed. nx and tsc
 * decide by content when it differs.
 */
const sourcesStamp = () => {
  const hash = createHash('sha256');
  const add = (path) => {
    const { mtimeMs, size } = statSync(path);
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  };
  for (const name of ['tsconfig.base.json', 'nx.json', 'package-lock.json']) add(join(root, name));
  for (const project of projects()) {
    for (const name of ['package.json', 'project.json', 'tsconfig.json']) add(join(project, name));
    for (const path of filesBelow(join(project, 'src'))) if (!path.endsWith('.spec.ts')) add(path);
  }
  return hash.digest('hex');
};

const isBuilt = () => projects().every((project) => existsSync(join(project, 'dist/.tsbuildinfo')));

const runNx = () =>
  new Promise((resolve, reject) => {
    const nx = join(root, 'node_modules/nx', JSON.parse(readFileSync(join(root, 'node_modules/nx/package.json'), 'utf8')).bin.nx);
    const child = spawn(pinnedNode, [nx, 'run-many', '-t', 'build'], {
      cwd: root,
      stdio: ['ignore', 2, 2],
      env: { ...toolEnv(), NX_DAEMON: 'false', NX_TUI: 'false', NX_NO_CLOUD: 'true' },
    });
    child.on('error', (error) => reject(new SetupFailed(`nx cannot be run: ${error.message}`)));
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new SetupFailed(`The build failed (${signal ?? `exit code ${code}`}); what the compiler says stands above`));
    });
  });

/** Builds what changed since the last build. */
export const ensureBuilt = async () => {
  const stamp = sourcesStamp();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp && isBuilt()) return;
  const since = Date.now();
  tell(`Building ${projects().length} packages`);
  await runNx();
  writeFileSync(stampFile, stamp);
  tell(`Built after ${seconds(since)}`);
};
