import type { PoolClient } from 'pg';
import { identityDigest } from './identity-digest.js';
import type { Identity } from './person.store.js';
import type { Workspace } from '../workspaces/workspace.store.js';

/** Something that says that somebody was there. Times are in ms since 1970. */
export interface Sighting {
  readonly workspace: Workspace;
  readonly identities: readonly Identity[];
  readonly at: number;
  readonly receivedAt: number;
}

/** Those of somebody who was erased since: they happened, or were received, before that. The caller holds the lock of their workspaces. */
export const erasedAmong = async <T extends Sighting>(
  client: Pick<PoolClient, 'query'>,
  sightings: readonly T[],
): Promise<ReadonlySet<T>> => {
  const byDigest = new Map<string, { workspace: number; digest: Buffer; sightings: T[] }>();
  for (const sighting of sightings) {
    const { workspace, identities } = sighting;
    for (const { isKnown, id } of identities) {
      const digest = identityDigest(workspace, isKnown, id);
      const key = `${workspace.number}:${digest.toString('hex')}`;
      const known = byDigest.get(key);
      if (known) known.sightings.push(sighting);
      else byDigest.set(key, { workspace: workspace.number, digest, sightings: [sighting] });
    }
  }
  const given = [...byDigest.values()];
  const { rows } = await client.query<{ place: number; erasedAt: Date }>(
    `select t.place::int, erased_at as "erasedAt" from unnest($1::int[], $2::bytea[]) with ordinality as t (workspace, digest, place)
     join tombstone using (workspace, digest)`,
    [given.map(({ workspace }) => workspace), given.map(({ digest }) => digest)],
  );
  const erased = new Set<T>();
  for (const { place, erasedAt } of rows) {
    for (const sighting of given[place - 1]?.sightings ?? [])
      if (Math.min(sighting.at, sighting.receivedAt) <= erasedAt.getTime()) erased.add(sighting);
  }
  return erased;
};
