import { existsSync } from 'node:fs';
import { isRole, roleScopes, workspaceIdSchema } from '@pca/contracts';
import { dataPaths } from '../data/data-folder.js';
import { type LocalEnv, readEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { repositoryRoot } from '../repository-root.js';
import { durationSeconds, parseOptions } from './options.js';

const usage = `npm run token -- --role ${Object.keys(roleScopes).join('|')} [--workspace ID] [--ttl 1h]`;

/** A token of the local issuer for the given arguments. */
export const makeToken = async (args: readonly string[], env: LocalEnv): Promise<string> => {
  const values = parseOptions(args, { role: { type: 'string' }, workspace: { type: 'string' }, ttl: { type: 'string' } }, usage);
  const { role = '', workspace, ttl = '1h' } = values;
  if (!isRole(role)) throw new OperatorError(role === '' ? `Which role? Usage: ${usage}` : `There is no role "${role}". Usage: ${usage}`);
  if (workspace !== undefined && !workspaceIdSchema.safeParse(workspace).success)
    throw new OperatorError(`"${workspace}" is not a workspace id`);
  const ttlSeconds = durationSeconds(ttl);
  if (env.issuer)
    throw new OperatorError(`Tokens come from ${env.issuer.issuer} (AUTH_ISSUER is set); this command is for the local issuer`);
  if (!existsSync(env.dataDir)) throw new OperatorError(`There is no data folder ${env.dataDir} yet: run npm start first`);
  // Loaded late: it brings the whole of a service's frame, and a refusal should not wait for that.
  const { ensureLocalIssuer, localWorkspaceId } = await import('@pca/service-kit');
  const issuer = await ensureLocalIssuer(dataPaths(env.dataDir).auth);
  return issuer.issue({ role, workspace: workspace ?? localWorkspaceId, ttlSeconds });
};

/** Prints the token and nothing else, so that a shell can take it. */
export const token = async (args: readonly string[]): Promise<number> => {
  process.stdout.write(`${await makeToken(args, readEnv(repositoryRoot))}\n`);
  return 0;
};
