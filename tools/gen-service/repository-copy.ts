import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';

const left = new Set(['node_modules', '.git', '.nx', '.pca', 'coverage']);

export interface RepositoryCopy {
  root: string;
  remove(): void;
}

/**
 * A copy of the repository that a test may change: files and builds are copied, with their times, so that only what changes is built;
 * installed packages are links to the original's, except our own, which lead into the copy.
 */
export const copyRepository = (original: string): RepositoryCopy => {
  const root = mkdtempSync(join(tmpdir(), 'pca-copy-'));
  cpSync(original, root, { recursive: true, preserveTimestamps: true, filter: (path) => !left.has(basename(path)) });
  const packages = join(root, 'node_modules');
  mkdirSync(join(packages, '@pca'), { recursive: true });
  for (const name of readdirSync(join(original, 'node_modules'))) {
    if (name !== '@pca' && name !== '.cache') symlinkSync(join(original, 'node_modules', name), join(packages, name));
  }
  const { packages: locked } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { resolved?: string; link?: boolean }>;
  };
  for (const [path, { resolved, link }] of Object.entries(locked)) {
    if (link && resolved) symlinkSync(relative(join(packages, '@pca'), join(root, resolved)), join(root, path));
  }
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) };
};
