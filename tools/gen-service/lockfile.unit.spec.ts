import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withWorkspace } from './lockfile.ts';

const lockfile = readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8');

describe('withWorkspace', () => {
  it('writes what npm wrote: a workspace that is there is put back just as it was', () => {
    const own = JSON.parse(readFileSync(join(import.meta.dirname, '../../services/campaigns/package.json'), 'utf8')) as Parameters<
      typeof withWorkspace
    >[2];
    const dependencies = Object.fromEntries(Object.entries(own.dependencies ?? {}).sort(([a], [b]) => a.localeCompare(b, 'en')));
    const lock = JSON.parse(lockfile) as { packages: Record<string, unknown> };
    delete lock.packages['services/campaigns'];
    delete lock.packages['node_modules/@pca/campaigns'];
    expect(withWorkspace(JSON.stringify(lock), 'services/campaigns', { ...own, dependencies })).toBe(lockfile);
  });
});
