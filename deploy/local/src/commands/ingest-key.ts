import { workspaceIdSchema } from '@pca/contracts';
import { readEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { repositoryRoot } from '../repository-root.js';
import { runServiceProgram } from '../services/service-command.js';
import { parseOptions } from './options.js';

const usage = 'npm run ingest-key -- [--workspace ID]';

/** Prints a write-only key for behaviour events and nothing else, so that a shell can take it; analytics makes it when there is none. */
export const ingestKey = async (args: readonly string[]): Promise<number> => {
  const options = { workspace: { type: 'string' }, services: { type: 'string' } } as const;
  const { workspace, services = 'services' } = parseOptions(args, options, usage);
  if (workspace !== undefined && !workspaceIdSchema.safeParse(workspace).success)
    throw new OperatorError(`"${workspace}" is not a workspace id`);
  const env = readEnv(repositoryRoot);
  if (env.issuer)
    throw new OperatorError(
      `Tokens come from ${env.issuer.issuer} (AUTH_ISSUER is set), and keys from the graph; this command is for the local issuer`,
    );
  return runServiceProgram(env, services, 'analytics', ['ingest-key', ...(workspace === undefined ? [] : ['--workspace', workspace])]);
};
