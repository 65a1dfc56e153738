import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { installedMatches } from './install.mjs';
import { nodeFault } from './node-version.mjs';
import { soakOptions } from './soak-command.mjs';
import { closingLine, missingRequirements, testCounts } from './test-report.mjs';

describe('the Node of the machine', () => {
  it.each(['v20.0.0', 'v22.11.0', 'v24.21.0', '26.0.0'])('may be %s', (version) => {
    expect(nodeFault(version)).toBeUndefined();
  });

  it.each(['v18.20.4', 'v8.0.0', 'v2.0.0', 'nonsense'])('is refused in one line when it is %s', (version) => {
    expect(nodeFault(version)).toMatch(/^Node 20 or newer is needed[^\n]+$/);
  });

  it('is looked at before anything else', () => {
    const pretend = `data:text/javascript,Object.defineProperty(process,'version',{value:'v18.1.0'})`;
    const run = spawnSync(process.execPath, ['--import', pretend, join(import.meta.dirname, '../run.mjs'), 'start'], { encoding: 'utf8' });
    expect(run).toMatchObject({ status: 1, stdout: '', stderr: nodeFault('v18.1.0') + '\n' });
  });
});

it('an unknown command is refused in one line', () => {
  const run = spawnSync(process.execPath, [join(import.meta.dirname, '../run.mjs'), 'toString'], { encoding: 'utf8' });
  expect(run).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/^Unknown command "toString"; there are: start, [^\n]+\n$/) as string,
  });
});

describe('what is installed', () => {
  const locked = {
    '': { version: '1' },
    'libs/a': { version: '0.1.0' },
    'node_modules/@pca/a': { resolved: 'libs/a', link: true },
    'node_modules/x': { version: '1.2.3' },
    'node_modules/other-platform': { version: '1.0.0', optional: true },
  };
  const installed = { 'node_modules/x': { version: '1.2.3' } };

  it('will do when all but other platforms is there', () => {
    expect(installedMatches(locked, installed, () => true)).toBe(true);
  });

  it.each<[string, Record<string, { version: string }>, boolean]>([
    ['a package is missing', {}, true],
    ['a version differs', { 'node_modules/x': { version: '1.2.4' } }, true],
    ['a workspace is not linked', installed, false],
  ])('will not when %s', (_name, found, linked) => {
    expect(installedMatches(locked, found, () => linked)).toBe(false);
  });
});

describe('the closing line', () => {
  const report = (files: object[], counts: object): object => ({
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: files,
    ...counts,
  });
  const counts = (...args: Parameters<typeof testCounts>): string => closingLine(testCounts(...args));

  it('counts tests', () => {
    expect(counts(report([], { numPassedTests: 5 }), 0, 0)).toBe('5 passed, 0 failed');
    const failed = { status: 'failed', assertionResults: [{ status: 'failed' }] };
    expect(counts(report([failed], { numPassedTests: 5, numFailedTests: 1, numPendingTests: 2 }), 1, 0)).toBe(
      '5 passed, 1 failed, 2 skipped',
    );
  });

  it('counts a file that does not load, a run that fails by itself, and what was required', () => {
    const notLoaded = { status: 'failed', assertionResults: [] };
    expect(counts(report([notLoaded], { numPassedTests: 5 }), 1, 0)).toBe('5 passed, 1 failed');
    expect(counts(report([], { numPassedTests: 5 }), 1, 0)).toBe('5 passed, 1 failed');
    expect(counts(undefined, 1, 0)).toBe('0 passed, 1 failed');
    expect(counts(report([], { numPassedTests: 5, numPendingTests: 3 }), 0, 2)).toBe('5 passed, 2 failed, 3 skipped');
  });

  it('comes after what could not run, each once', () => {
    const text = [
      { name: 'b', reason: 'no Java' },
      { name: 'a', reason: 'no data' },
      { name: 'b', reason: 'no Java' },
    ]
      .map((entry) => `${JSON.stringify(entry)}\n`)
      .join('');
    expect(missingRequirements(text)).toEqual([
      { name: 'a', reason: 'no data' },
      { name: 'b', reason: 'no Java' },
    ]);
  });
});

describe('the long lane', () => {
  it('is forty rounds and a million events where nothing is said', () => {
    expect(soakOptions([])).toMatchObject({ rounds: 40, events: 1_000_000, minutes: 0 });
    expect(soakOptions(['--minutes', '60', '--rounds=3', 'kills/'])).toEqual({
      rounds: 3,
      events: 1_000_000,
      minutes: 60,
      paths: ['libs/event-bus/test/kills/'],
    });
  });

  it.each([['--rounds', '0'], ['--events', 'many'], ['--minutes=-1'], ['--hours', '1'], ['nowhere']])('refuses %s %s', (...args) => {
    expect(() => soakOptions(args.filter(Boolean))).toThrow(/rounds|events|minutes|hours|nowhere|No scenario/);
  });

  const root = join(import.meta.dirname, '../..');
  const specs = globSync('{libs,services,deploy}/*/test/**/*.spec.ts', { cwd: root });

  it('knows scenarios that are there', () => {
    for (const path of soakOptions([]).paths) expect(specs.filter((spec) => spec.includes(path)).length, path).toBeGreaterThan(0);
  });

  // Broken by: a spec whose length may be chosen, and which nobody ever runs for long.
  it('runs every spec that takes its length from the environment', () => {
    const long = specs.filter((spec) =>
      /process\.env\['(KILL_ROUNDS|SOAK_EVENTS|SIMULATIONS)'\]/.test(readFileSync(join(root, spec), 'utf8')),
    );
    expect(long.length).toBeGreaterThan(5);
    expect(long.filter((spec) => !soakOptions([]).paths.some((path) => spec.includes(path)))).toEqual([]);
  });
});
