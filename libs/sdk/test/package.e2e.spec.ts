import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const folder = join(import.meta.dirname, '..');

// Broken by: an entry that is not published, maps to sources that nobody gets (bundlers complain of each), tests in a package.
it('publishes its entries, the sources that its maps name, and nothing of its making', async () => {
  const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = new Set(files.map(({ path }) => path));
  const { exports } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { exports: Record<string, object> };
  const wanted = Object.values(exports).flatMap((entry) => Object.values(entry) as string[]);
  const maps = [...paths].filter((path) => path.endsWith('.js.map'));
  expect(maps.length).toBeGreaterThan(5);
  for (const map of maps) {
    const { sources } = JSON.parse(await readFile(join(folder, map), 'utf8')) as { sources: string[] };
    wanted.push(...sources.map((source) => posix.join(posix.dirname(map), source)));
  }
  expect(wanted.filter((path) => !paths.has(posix.normalize(path)))).toEqual([]);
  expect([...paths].filter((path) => /spec|test|tsbuildinfo/.test(path))).toEqual([]);
  expect(paths).toContain('README.md');
});
