import type { PoolClient, QueryResult } from 'pg';

/**
 * Namespace of the advisory locks that keep writers apart from erasures and sweeps: a writer takes the lock of its workspace's number shared,
 * the others take it alone; either holds it until its transaction ends.
 */
export const workspaceLockNamespace = 0x70636177;

/** How often something that writers may have in memory was taken away from a workspace. */
export interface Losses {
  /** Numbers of persons and sessions. */
  readonly erasures: number;
  /** Codes of texts. */
  readonly textsFreed: number;
}

/**
 * Waits for an erasure under way, and answers with what each workspace has lost, by its number. Lowest number first, so that two writers and
 * an erasure never wait in a circle.
 */
export const lockWorkspacesShared = async (
  client: Pick<PoolClient, 'query'>,
  numbers: Iterable<number>,
): Promise<ReadonlyMap<number, Losses>> => {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  if (sorted.length === 0) return new Map();
  // A statement for each, since the order of calls inside one is the planner's, and one more for the count, since a statement sees what was
  // committed when it began. All of them go in one message.
  const locks = sorted.map((number) => `select pg_advisory_xact_lock_shared(${workspaceLockNamespace}, ${number})`);
  const count = `select number, erasures, texts_freed as "textsFreed" from workspace where number in (${sorted.join(', ')})`;
  const results = (await client.query([...locks, count].join(';\n'))) as unknown as QueryResult<Losses & { number: number }>[];
  return new Map(results.at(-1)?.rows.map(({ number, ...losses }) => [number, losses]));
};
