import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { workspaceIdSchema } from '@pca/contracts';
import { localWorkspaceId } from '@pca/service-kit';
import { request } from 'undici';
import { dataPaths, writeSecret } from '../data/data-folder.js';
import { readRunning } from '../data/run-file.js';
import { readEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { repositoryRoot } from '../repository-root.js';
import { answerOfServiceProgram } from '../services/service-command.js';
import { parseOptions } from './options.js';

const usage = 'npm run ingest-key -- [--workspace ID]';

/**
 * Prints a write-only key for behaviour events and nothing else, so that a shell can take it. Analytics keeps no key that could be shown
 * again: the one that was made here first stays in the data folder, beside the key that signs tokens, until it is revoked.
 */
export const ingestKey = async (args: readonly string[]): Promise<number> => {
  const options = { workspace: { type: 'string' }, services: { type: 'string' } } as const;
  const { workspace = localWorkspaceId, services = 'services' } = parseOptions(args, options, usage);
  if (!workspaceIdSchema.safeParse(workspace).success) throw new OperatorError(`"${workspace}" is not a workspace id`);
  const env = readEnv(repositoryRoot);
  if (env.issuer)
    throw new OperatorError(
      `Tokens come from ${env.issuer.issuer} (AUTH_ISSUER is set), and keys from the graph, by createIngestKey; this command is for the local issuer`,
    );
  const paths = dataPaths(env.dataDir);
  const running = readRunning(paths.run);
  if (!running) throw new OperatorError('The system is not running on this data folder: run npm start first, in another terminal');
  const file = join(paths.auth, 'ingest-keys', workspace);
  const kept = existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
  const key =
    kept !== undefined && (await opens(running.gatewayUrl, kept))
      ? kept
      : await answerOfServiceProgram(env, services, 'analytics', ['ingest-key', '--workspace', workspace]);
  if (key === undefined) return 1;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeSecret(file, `${key}\n`);
  process.stdout.write(`${key}\n`);
  return 0;
};

/** Only a clear refusal counts: what does not answer now may take the key in a moment. */
const opens = async (gatewayUrl: string, key: string): Promise<boolean> => {
  const authorization = `Bearer ${key}`;
  try {
    const { statusCode, body } = await request(`${gatewayUrl}/v1/batch`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: '{"batch":[]}',
    });
    await body.dump();
    return statusCode !== 401;
  } catch {
    return true;
  }
};
