import { createHash } from 'node:crypto';
import { DomainError } from '@pca/errors';
import type { EntityManager } from 'typeorm';

/** Table of the keys that writes were done under; a service puts it into a migration of its own. */
export const idempotencyTableSql = `
  create table idempotency_key (
    workspace_id text not null,
    key text not null,
    request_hash text not null,
    response jsonb,
    created_at timestamptz not null default now(),
    primary key (workspace_id, key)
  );
  create index idempotency_key_created_at on idempotency_key (created_at);
`;

export const idempotencyKeyLengthMax = 256;
const keepHours = 24;

export interface IdempotentRequest {
  workspaceId: string;
  /** The caller's key; undefined: the work is simply done. */
  key: string | undefined;
  operation: string;
  /** Hashed, to tell a repeat from another request under the same key. */
  request: unknown;
}

/**
 * Does `work` at most once for each key within 24 hours; a repeat gets the first answer and does nothing. Key and work commit together.
 * Two at once: the second waits for the first to end. Throws IDEMPOTENCY_KEY_REUSED when the request differs from the first one.
 * The answer must be JSON.
 */
export const withIdempotency = async <T>(manager: EntityManager, request: IdempotentRequest, work: () => Promise<T>): Promise<T> => {
  const { workspaceId, key, operation } = request;
  if (key === undefined) return work();
  if (key.length === 0 || key.length > idempotencyKeyLengthMax || key.includes('\0')) {
    throw new DomainError('BAD_USER_INPUT', `An idempotency key has 1 to ${idempotencyKeyLengthMax} characters`);
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([operation, request.request]))
    .digest('hex');
  const claimed = await manager.query<unknown[]>(
    'insert into idempotency_key (workspace_id, key, request_hash) values ($1, $2, $3) on conflict do nothing returning 1 as claimed',
    [workspaceId, key, hash],
  );
  if (claimed.length === 0) return repeatOf<T>(manager, workspaceId, key, hash);
  const response = await work();
  await manager.query('update idempotency_key set response = $3 where workspace_id = $1 and key = $2', [
    workspaceId,
    key,
    JSON.stringify(response),
  ]);
  return response;
};

const repeatOf = async <T>(manager: EntityManager, workspaceId: string, key: string, hash: string): Promise<T> => {
  const rows = await manager.query<{ request_hash: string; response: T }[]>(
    'select request_hash, response from idempotency_key where workspace_id = $1 and key = $2',
    [workspaceId, key],
  );
  const first = rows[0];
  if (!first || first.request_hash !== hash)
    throw new DomainError('IDEMPOTENCY_KEY_REUSED', 'This idempotency key was used for another request');
  return first.response;
};

export const pruneIdempotencyKeys = async (queryable: { query(text: string): Promise<unknown> }): Promise<void> => {
  await queryable.query(`delete from idempotency_key where created_at < now() - interval '${keepHours} hours'`);
};
