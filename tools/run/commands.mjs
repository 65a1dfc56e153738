import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt } from './build.mjs';
import { ensureInstalled } from './install.mjs';
import { pinnedNode, root, tell } from './places.mjs';
import { runChild } from './run-child.mjs';
import { SetupFailed } from './setup-failed.mjs';
import { withSetupLock } from './setup-lock.mjs';
import { soakCommand } from './soak-command.mjs';
import { testCommand } from './test-command.mjs';

const setUp = ({ built }) =>
  withSetupLock(async () => {
    await ensureInstalled();
    if (built) await ensureBuilt();
  });

/** A command of the supervisor. */
const local = (name, options) => async (args) => {
  await setUp({ built: true });
  return runChild(pinnedNode, [join(root, 'deploy/local/dist/main.js'), name, ...args], options);
};

/** A program in this folder; it builds what it needs by itself. */
const tool =
  (file, ...first) =>
  async (args) => {
    await setUp({ built: false });
    return runChild(pinnedNode, [join(root, 'tools', file), ...first, ...args]);
  };

const benchNames = () =>
  readdirSync(join(root, 'bench'))
    .filter((name) => name.endsWith('.bench.mjs'))
    .map((name) => name.slice(0, -'.bench.mjs'.length));

/** One benchmark by name, or all of them. */
const bench = async ([name, ...args]) => {
  const names = name === undefined ? benchNames() : [name];
  if (name !== undefined && !existsSync(join(root, 'bench', `${name}.bench.mjs`)))
    throw new SetupFailed(`There is no benchmark "${name}"; there are: ${benchNames().join(', ')}`);
  await setUp({ built: true });
  let failed = 0;
  for (const each of names) {
    tell(`Benchmark ${each}`);
    const code = await runChild(pinnedNode, [join(root, 'bench', `${each}.bench.mjs`), ...args]);
    if (code !== 0) failed = code;
  }
  return failed;
};

const test = async (args) => {
  await setUp({ built: true });
  return testCommand(args);
};

const soak = async (args) => {
  await setUp({ built: true });
  return soakCommand(args);
};

/** Every command by its npm script's name; each resolves with the exit code. */
export const commands = {
  start: local('start', { apart: true }),
  token: local('token'),
  'ingest-key': local('ingest-key'),
  import: local('import'),
  redrive: local('redrive'),
  replay: local('replay'),
  reset: local('reset'),
  test,
  soak,
  bench,
  gen: tool('gen.mjs'),
  'gen:check': tool('gen.mjs', '--check'),
  'gen:service': tool('gen-service.mjs'),
  lint: tool('lint.mjs'),
};
