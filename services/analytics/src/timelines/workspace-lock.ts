import type { PoolClient } from 'pg';

/**
 * Namespace of the advisory locks that keep writers and erasures apart: a writer takes the lock of its workspace's number shared, an erasure
 * takes it alone; either holds it until its transaction ends.
 */
export const workspaceLockNamespace = 0x70636177;

/** Waits for an erasure under way; lowest number first, so that two writers and an erasure never wait in a circle. */
export const lockWorkspacesShared = async (client: Pick<PoolClient, 'query'>, numbers: readonly number[]): Promise<void> => {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  // One statement for each: the order of calls inside one statement is the planner's.
  for (const number of sorted) await client.query('select pg_advisory_xact_lock_shared($1, $2)', [workspaceLockNamespace, number]);
};
