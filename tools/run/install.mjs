import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { pinnedNode, root, seconds, tell } from './places.mjs';
import { SetupFailed } from './setup-failed.mjs';

const stampFile = join(root, 'node_modules/.pca-stamp');
const progressMs = 5_000;

const readOr = (path, otherwise) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
};

/** Whether npm's own record of what it installed says the same as the lockfile; packages for other platforms may be missing. */
export const installedMatches = (locked, installed, linkExists) =>
  Object.entries(locked).every(([path, entry]) => {
    if (path === '' || !path.startsWith('node_modules/') || entry.optional) return true;
    if (entry.link) return linkExists(path);
    return installed[path]?.version === entry.version;
  });

const installedNow = (lockText) => {
  const record = readOr(join(root, 'node_modules/.package-lock.json'), undefined);
  if (record === undefined) return false;
  return installedMatches(JSON.parse(lockText).packages, JSON.parse(record).packages, (path) => existsSync(join(root, path)));
};

/** npm makes all folders first and fills them then: a package is there when its package.json is. */
const countInstalled = () => {
  const filled = (folder, name) => existsSync(join(folder, name, 'package.json'));
  try {
    const modules = join(root, 'node_modules');
    return readdirSync(modules).reduce((sum, name) => {
      if (!name.startsWith('@')) return sum + Number(filled(modules, name));
      const scope = join(modules, name);
      return sum + readdirSync(scope).filter((part) => filled(scope, part)).length;
    }, 0);
  } catch {
    return 0;
  }
};

/** npm as it was called, else the one on the path. The Node inside node_modules cannot run it: npm is about to remove that. */
const npmCommand = () => {
  const { npm_execpath: script, npm_node_execpath: node } = process.env;
  return script && node && !node.startsWith(join(root, 'node_modules')) ? [node, [script]] : ['npm', []];
};

const npmCi = (packages) =>
  new Promise((resolve, reject) => {
    const since = Date.now();
    tell(`Installing ${packages} packages (npm ci)`);
    const [file, first] = npmCommand();
    // The pinned Node comes by an install script, whatever the user's npm is set to.
    const args = [...first, 'ci', '--ignore-scripts=false', '--no-audit', '--no-fund', '--loglevel=error'];
    const npm = spawn(file, args, { cwd: root, stdio: ['ignore', 2, 2] });
    const timer = setInterval(() => tell(`  ${seconds(since)}: ${countInstalled()} are there`), progressMs);
    npm.on('error', (error) => {
      clearInterval(timer);
      reject(new SetupFailed(`npm cannot be run: ${error.message}`));
    });
    npm.on('exit', (code, signal) => {
      clearInterval(timer);
      if (code !== 0) return reject(new SetupFailed(`npm ci failed (${signal ?? `exit code ${code}`}); what it says stands above`));
      tell(`Installed after ${seconds(since)}`);
      resolve();
    });
  });

/** The pinned Node must really be there: an install without its scripts leaves none, and then an older one would run everything. */
const checkPinnedNode = () => {
  const wanted = `v${JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).dependencies.node}`;
  const { stdout } = spawnSync(pinnedNode, ['--version'], { encoding: 'utf8' });
  const found = stdout?.trim();
  if (found === wanted) return;
  throw new SetupFailed(
    `Node ${wanted} should be in node_modules, there is ${found ?? 'none'}: remove node_modules and run npm ci --ignore-scripts=false`,
  );
};

/** Installs what package-lock.json names unless it is there already. */
export const ensureInstalled = async () => {
  const lockText = readOr(join(root, 'package-lock.json'), undefined);
  if (lockText === undefined) throw new SetupFailed('package-lock.json is missing: this is not a whole checkout');
  const hash = createHash('sha256').update(lockText).digest('hex');
  const stamp = `${hash} ${process.platform}-${process.arch}`;
  if (readOr(stampFile, '') === stamp && existsSync(pinnedNode)) return;
  if (!installedNow(lockText)) await npmCi(Object.keys(JSON.parse(lockText).packages).length);
  checkPinnedNode();
  writeFileSync(stampFile, stamp);
};
