import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { missingPlatforms, platformOf } from './complete-lockfile.mjs';

describe('platformOf', () => {
  it.each([
    ['@nx/nx-linux-x64-musl', { os: ['linux'], cpu: ['x64'], libc: ['musl'] }],
    ['@nx/nx-linux-arm-gnueabihf', { os: ['linux'], cpu: ['arm'], libc: ['glibc'] }],
    ['@oxc-parser/binding-win32-arm64-msvc', { os: ['win32'], cpu: ['arm64'] }],
    ['@oxc-parser/binding-android-arm-eabi', { os: ['android'], cpu: ['arm'] }],
    ['@esbuild/darwin-arm64', { os: ['darwin'], cpu: ['arm64'] }],
    ['fsevents', undefined],
  ])('%s', (name, platform) => expect(platformOf(name)).toEqual(platform));
});

describe('missingPlatforms', () => {
  const parent = { optionalDependencies: { '@x/y-linux-x64-gnu': '1.2.3', '@x/y-darwin-x64': '1.2.3' }, dev: true, license: 'MIT' };

  it('adds what is not there, and nothing twice', () => {
    const packages = { 'node_modules/y': parent, 'node_modules/@x/y-linux-x64-gnu': {} };
    const missing = missingPlatforms(packages);
    expect(missing).toEqual([
      ['node_modules/@x/y-darwin-x64', { version: '1.2.3', cpu: ['x64'], dev: true, license: 'MIT', optional: true, os: ['darwin'] }],
    ]);
    expect(missingPlatforms({ ...packages, ...Object.fromEntries(missing) })).toEqual([]);
  });

  it('does not guess what a name does not say', () => {
    expect(() => missingPlatforms({ 'node_modules/y': { optionalDependencies: { fsevents: '1.0.0' } } })).toThrow('fsevents@1.0.0');
  });

  it('finds nothing missing in our own lockfile: npm ci of npm 11 would refuse it (node tools/complete-lockfile.mjs repairs it)', () => {
    const { packages } = JSON.parse(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8')) as { packages: object };
    expect(missingPlatforms(packages)).toEqual([]);
  });
});
