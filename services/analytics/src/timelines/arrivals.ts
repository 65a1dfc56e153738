import { deadLettered, handled, type Outcome } from '@pca/event-bus';
import type { ConsumedEvent } from '@pca/service-kit';
import type { PoolClient } from 'pg';
import { isAcceptedTime } from '../ingest/reading/event-time.js';
import type { Identity } from '../persons/person.store.js';
import { erasedAmong, type Sighting } from '../persons/tombstones.js';
import type { Workspace, WorkspaceStore } from '../workspaces/workspace.store.js';
import { isDeeperThan, storable } from './stored-text.js';
import { lockWorkspacesShared } from './workspace-lock.js';

/** Deepest nesting of properties and traits: what reads them goes no deeper, and neither does Postgres for long. */
const depthMax = 64;

interface Payload {
  readonly messageId: string;
  readonly timestamp: string;
  readonly userId: string | null;
  readonly anonymousId: string | null;
  readonly previousId?: string | null;
  readonly properties?: unknown;
  readonly traits?: unknown;
}

/** An event on its way into the database. */
export interface Arrival<P> extends Sighting {
  /** Among the events of its batch. */
  readonly place: number;
  readonly payload: P;
}

/** What becomes of the events of a batch: handled, unless somebody says otherwise. */
export class Outcomes {
  readonly all: Outcome[];

  constructor(count: number) {
    this.all = Array.from({ length: count }, () => handled);
  }

  refuse(place: number, reason: string): void {
    this.all[place] = deadLettered(reason);
  }
}

/** The events of a batch; those that can never be stored are refused. */
export const readArrivals = async <P extends Payload>(
  workspaces: WorkspaceStore,
  batch: readonly ConsumedEvent<P>[],
  outcomes: Outcomes,
  now: Date,
): Promise<readonly Arrival<P>[]> => {
  const ids = [...new Set(batch.map(({ envelope }) => envelope.workspaceId))];
  const byId = new Map(await Promise.all(ids.map(async (id) => [id, await workspaces.get(id)] as const)));
  const arrivals: Arrival<P>[] = [];
  for (const [place, { envelope }] of batch.entries()) {
    const { payload } = envelope;
    const workspace = byId.get(envelope.workspaceId) as Workspace;
    const at = Date.parse(payload.timestamp);
    const fault = faultOf(payload, at, workspace, now);
    if (fault === undefined)
      arrivals.push({ place, payload, workspace, at, receivedAt: Date.parse(envelope.receivedAt), identities: identitiesOf(payload) });
    else outcomes.refuse(place, fault);
  }
  return arrivals;
};

const faultOf = (payload: Payload, at: number, { retentionDays }: Workspace, now: Date): string | undefined => {
  if (!isAcceptedTime(at, now.getTime(), retentionDays))
    return `The timestamp ${payload.timestamp} is over ${retentionDays} days old, or over a day ahead`;
  const isDeep = isDeeperThan(depthMax, payload.properties ?? payload.traits);
  return isDeep ? `The properties nest deeper than ${depthMax} levels` : undefined;
};

/** Whose it is comes first: the user's where they are known. What a user was called before may have been either. */
export const identitiesOf = ({
  userId,
  anonymousId,
  previousId = null,
}: Pick<Payload, 'userId' | 'anonymousId' | 'previousId'>): readonly Identity[] => {
  const identities: Identity[] = [];
  if (userId !== null) identities.push({ isKnown: true, id: storable(userId) });
  if (anonymousId !== null) identities.push({ isKnown: false, id: storable(anonymousId) });
  if (previousId !== null) identities.push(...previousIdentities(userId, previousId));
  return identities;
};

/** What `previousId` may stand for: it says of nobody whether they are known, and an anonymous person was no user before. */
const previousIdentities = (userId: string | null, previousId: string): readonly Identity[] => {
  const id = storable(previousId);
  return userId === null
    ? [{ isKnown: false, id }]
    : [
        { isKnown: true, id },
        { isKnown: false, id },
      ];
};

export interface Living<A> {
  readonly living: readonly A[];
  /** Those of somebody who was erased since. */
  readonly erased: ReadonlySet<A>;
  /** How many erasures each workspace has had, by its number. */
  readonly erasures: ReadonlyMap<number, number>;
  /** How often texts of each workspace were freed. */
  readonly textsFreed: ReadonlyMap<number, number>;
}

/** Keeps erasures and sweeps out until the transaction ends, and leaves out whoever was erased since. */
export const keepLiving = async <A extends Sighting>(client: PoolClient, arrivals: readonly A[]): Promise<Living<A>> => {
  const numbers = arrivals.map(({ workspace }) => workspace.number);
  const losses = await lockWorkspacesShared(client, numbers);
  const erasures = new Map([...losses].map(([number, lost]) => [number, lost.erasures]));
  const textsFreed = new Map([...losses].map(([number, lost]) => [number, lost.textsFreed]));
  const doubtful = arrivals.filter(({ workspace }) => (erasures.get(workspace.number) ?? 0) > 0);
  if (doubtful.length === 0) return { living: arrivals, erased: new Set(), erasures, textsFreed };
  const erased = await erasedAmong(client, doubtful);
  return { living: arrivals.filter((arrival) => !erased.has(arrival)), erased, erasures, textsFreed };
};
