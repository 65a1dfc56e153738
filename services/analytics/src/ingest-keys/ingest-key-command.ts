import { workspaceIdSchema } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { localSecret, localWorkspaceId, parseInput, readOptions, type ServiceDefinition } from '@pca/service-kit';
import { ingestKeyFrom } from './ingest-key.js';
import { IngestKeyService } from './ingest-key.service.js';
import { IngestKeyStore } from './ingest-key.store.js';

const usage = 'main.js ingest-key [--workspace ID]';
const maker = 'local';

/**
 * The service's program as a command: `node dist/main.js ingest-key [--workspace ID]` prints the key of this machine for a workspace, and
 * makes it when there is none. It follows from the key pair of the local issuer, so that it is the same each time although only digests are
 * kept; when it was revoked or rotated, another one follows.
 */
export const ingestKeyCommand = async ({ env, database, name }: ServiceDefinition, args: readonly string[]): Promise<void> => {
  const { workspace = localWorkspaceId } = readOptions(args, { workspace: { type: 'string' } }, usage);
  const workspaceId = parseInput(workspaceIdSchema, workspace, 'workspace');
  if (!env.AUTH_JWKS_FILE)
    throw new DomainError('FORBIDDEN', 'Keys are printed in local mode only; elsewhere an owner makes them in the graph');
  if (!database) throw new DomainError('NOT_FOUND', `${name} has no database`);
  const secret = await localSecret(env.AUTH_JWKS_FILE, `ingest key of ${workspaceId}`);
  const keys = new IngestKeyService(new IngestKeyStore(database));
  const key = await keys.derive(workspaceId, maker, (ended) => ingestKeyFrom(secret, ended));
  process.stdout.write(`${key}\n`);
};
