import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pca-ci-'));
  mkdirSync(join(folder, 'clone/.ci'), { recursive: true });
  mkdirSync(join(folder, 'shared/data'), { recursive: true });
  mkdirSync(join(folder, 'bin'));
  cpSync(join(import.meta.dirname, '../.ci/run'), join(folder, 'clone/.ci/run'));
  const program = (name: string, text: string): void => writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  // Stands for what each step says of itself; that they do their work is for the steps to show.
  program(
    'npm',
    `case "$*" in
      ci*) exit \${INSTALL:-0} ;;
      *lint) exit \${LINT:-0} ;;
      *gen:check) exit \${GEN:-0} ;;
      test) echo "data $PCA_SAMPLE_DATA, CI $CI"; printf '%b' "$CLOSING"; exit \${TEST:-0} ;;
    esac`,
  );
  for (const name of ['chromium', 'redis-server', 'java', 'mvn']) program(name, '');
  program('apt-get', 'echo "apt-get $*"');
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (env: Record<string, string>) => {
  const { status, stdout } = spawnSync('bash', ['.ci/run'], {
    cwd: join(folder, 'clone'),
    env: { PATH: `${folder}/bin:${process.env['PATH']}`, CLOSING: '10 passed, 0 failed\n', ...env },
    encoding: 'utf8',
  });
  return { status, last: stdout.trimEnd().split('\n').at(-1), stdout };
};

describe('.ci/run', () => {
  it('adds lint and gen:check to the tests, and shows them the sample data beside the clone', () => {
    const { status, last, stdout } = run({});
    expect({ status, last }).toEqual({ status: 0, last: '12 passed, 0 failed' });
    expect(stdout).toContain(`data ${folder}/shared/data, CI true`);
  });

  // Broken by: a test that needs a program which nothing installs.
  it('installs the programs that are missing, and no others', () => {
    const tools = join(folder, 'tools');
    mkdirSync(tools);
    for (const name of ['bash', 'dirname', 'mktemp', 'timeout', 'tee', 'grep', 'tail', 'rm', 'sh']) {
      const path = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
      symlinkSync(path, join(tools, name));
    }
    for (const name of ['npm', 'apt-get', 'redis-server', 'java']) symlinkSync(join(folder, 'bin', name), join(tools, name));
    const { status, stdout } = run({ PATH: tools });
    expect(status).toBe(0);
    expect(stdout.split('\n').filter((line) => /installing|apt-get/.test(line))).toEqual([
      '== installing chromium maven',
      'apt-get update -qq',
    ]);
  });

  it.each([
    ['lint fails', { LINT: '1' }, '11 passed, 1 failed'],
    [
      'generated files are stale and tests fail',
      { GEN: '1', TEST: '1', CLOSING: '9 passed, 2 failed, 1 skipped\n' },
      '10 passed, 3 failed',
    ],
    ['the tests count no failure but exit 1', { TEST: '1' }, '12 passed, 1 failed'],
    ['the tests end without a closing line', { CLOSING: 'out of memory\n' }, '2 passed, 1 failed'],
    ['nothing can be installed', { INSTALL: '1' }, '0 passed, 1 failed'],
  ])('fails when %s', (_case, env, last) => {
    expect(run(env)).toMatchObject({ status: 1, last });
  });
});
