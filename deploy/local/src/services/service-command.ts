import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { LocalEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { repositoryRoot } from '../repository-root.js';
import { runningSettings } from './running-settings.js';
import { serviceEnvironment } from './service-environment.js';
import { readServices } from './service-registry.js';

/**
 * Runs the program of a service of the running system as a command, with the environment that the service has; what it says goes to this
 * terminal. Resolves with its exit code. Throws OperatorError when there is no such service or nothing runs.
 */
export const runServiceProgram = async (env: LocalEnv, folder: string, name: string, args: readonly string[]): Promise<number> => {
  const specs = readServices(resolve(repositoryRoot, folder));
  const spec = specs.find((each) => each.name === name);
  if (!spec) throw new OperatorError(`There is no service "${name}"; there are: ${specs.map((each) => each.name).join(', ')}`);
  const child = spawn(process.execPath, [spec.main, ...args], {
    env: serviceEnvironment(spec, specs, await runningSettings(env)),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => child.kill(signal));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
};
