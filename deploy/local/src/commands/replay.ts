import { readEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { repositoryRoot } from '../repository-root.js';
import { runServiceProgram } from '../services/service-command.js';
import { confirm } from './confirm.js';
import { parseOptions } from './options.js';

const usage = 'npm run replay -- --service SERVICE --group GROUP [--partial] [--yes] [--services FOLDER]';

const options = {
  service: { type: 'string' },
  group: { type: 'string' },
  partial: { type: 'boolean' },
  yes: { type: 'boolean' },
  services: { type: 'string' },
} as const;

/**
 * Makes a projection anew: `node services/SERVICE/dist/main.js replay --group GROUP` in the environment of the running service, which is also
 * how it is done in a cluster.
 */
export const replay = async (args: readonly string[]): Promise<number> => {
  const { service, group, partial = false, yes = false, services = 'services' } = parseOptions(args, options, usage);
  if (!service || !group) throw new OperatorError(`Which group of which service? Usage: ${usage}`);
  const env = readEnv(repositoryRoot);
  const consequence = `This empties what ${group} of ${service} has made of the events, and makes it anew from those that the bus keeps`;
  if (!yes && !(await confirm(consequence, `${consequence}. Until then answers are incomplete. Go on?`, usage))) {
    process.stdout.write('Nothing was done.\n');
    return 1;
  }
  return runServiceProgram(env, services, service, ['replay', '--group', group, ...(partial ? ['--partial'] : [])]);
};
