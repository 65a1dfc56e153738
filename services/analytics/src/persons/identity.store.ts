import { Injectable } from '@nestjs/common';
import type { IdentifiedUser } from '@pca/contracts';
import type { Outcome } from '@pca/event-bus';
import type { ConsumedEvent, Transaction } from '@pca/service-kit';
import type { PoolClient } from 'pg';
import { type Arrival, keepLiving, Outcomes, readArrivals } from '../timelines/arrivals.js';
import { storableJson, storableValue } from '../timelines/stored-text.js';
import { WorkspaceStore } from '../workspaces/workspace.store.js';
import { type Join, joinPersons, type JoinPlan, type Member } from './join-persons.js';
import { PersonStore } from './person.store.js';
import { mergeTraits, type StoredTraits, type Traits, traitsOf, traitsSaidAt } from './traits.js';

/** Namespace of the advisory locks, by workspace, under which persons are joined and traits change. */
const changeLockNamespace = 0x70636170;

interface PersonRow extends Member, StoredTraits {}

/** What events say of persons, by their numbers. */
interface Said {
  readonly joins: readonly Join[];
  readonly traits: ReadonlyMap<number, Traits>;
}

interface Changes {
  readonly plan: JoinPlan;
  readonly traits: ReadonlyMap<number, Traits>;
}

/** Who is who, and what is said of them. */
@Injectable()
export class IdentityStore {
  constructor(
    private readonly workspaces: WorkspaceStore,
    private readonly persons: PersonStore,
  ) {}

  /**
   * Takes what events say of persons, in the caller's transaction. What they say is the same however often and, but for one thing, in
   * whatever order it comes: when one anonymous id is identified as two users, as on a shared device, it belongs to the first that arrives;
   * within a batch, to the earliest. One that can never be stored is answered as dead-lettered.
   */
  async identify(transaction: Transaction, batch: readonly ConsumedEvent<IdentifiedUser>[], now = new Date()): Promise<readonly Outcome[]> {
    const client = (await transaction.queryRunner?.connect()) as PoolClient;
    const outcomes = new Outcomes(batch.length);
    const arrivals = await readArrivals(this.workspaces, batch, outcomes, now);
    const { living, erasures } = await keepLiving(client, arrivals);
    const said = await this.read(living, erasures);
    // Most say what is known already, and then nobody has to wait for anybody.
    if (isNothing(changesOf(await findPersons(client, said), said))) return outcomes.all;
    await lockForChanges(client, [...erasures.keys()]);
    await write(client, changesOf(await findPersons(client, said), said));
    return outcomes.all;
  }

  private async read(arrivals: readonly Arrival<IdentifiedUser>[], erasures: ReadonlyMap<number, number>): Promise<Said> {
    const inOrder = [...arrivals].sort(byTime).map((arrival) => {
      const { number } = arrival.workspace;
      return { ...arrival, state: { number, erasures: erasures.get(number) ?? 0 } };
    });
    const terms = inOrder.flatMap(({ identities, state: workspace }) => identities.map(({ isKnown, id }) => ({ workspace, isKnown, id })));
    const numbers = await this.persons.numbers(terms);
    let next = 0;
    const joins: Join[] = [];
    const traits = new Map<number, Traits>();
    for (const { payload, identities, at } of inOrder) {
      // In the order that `Arrival` has them in: whose it is, the anonymous id beside a user's, and what they were called before.
      const [owner, ...others] = identities.map(() => numbers[next++] as number) as [number, ...number[]];
      if (payload.userId !== null && payload.anonymousId !== null)
        joins.push({ kind: 'identify', from: others.shift() as number, to: owner });
      for (const from of others) joins.push({ kind: 'alias', from, to: owner });
      traits.set(owner, mergeTraits(traits.get(owner) ?? new Map(), traitsSaidAt(storableValue(payload.traits), at)));
    }
    return { joins, traits };
  }
}

const byTime = (a: Arrival<IdentifiedUser>, b: Arrival<IdentifiedUser>): number =>
  a.at - b.at || a.receivedAt - b.receivedAt || (a.payload.messageId < b.payload.messageId ? -1 : 1);

/** Those of whom something is said, and those who speak for them. */
const findPersons = async (client: PoolClient, { joins, traits }: Said): Promise<readonly PersonRow[]> => {
  const ids = new Set([...joins.flatMap(({ from, to }) => [from, to]), ...traits.keys()]);
  const { rows } = await client.query<PersonRow>(
    `select id, is_known as "isKnown", is_aliased as "isAliased", external_id as "externalId", canonical, traits, trait_times as "traitTimes"
     from person where id in (select unnest($1::int[]) union select canonical from person where id = any ($1))`,
    [[...ids]],
  );
  return rows;
};

const changesOf = (rows: readonly PersonRow[], { joins, traits }: Said): Changes => {
  const changed = new Map<number, Traits>();
  for (const row of rows) {
    const known = traitsOf(row);
    const merged = mergeTraits(known, traits.get(row.id) ?? new Map());
    if (merged !== known) changed.set(row.id, merged);
  }
  return { plan: joinPersons(rows, joins), traits: changed };
};

const isNothing = ({ plan: { aliased, moved }, traits }: Changes): boolean => aliased.length + moved.size + traits.size === 0;

const lockForChanges = async (client: PoolClient, workspaces: readonly number[]): Promise<void> => {
  for (const workspace of workspaces.toSorted((a, b) => a - b))
    await client.query('select pg_advisory_xact_lock($1, $2)', [changeLockNamespace, workspace]);
};

const write = async (client: PoolClient, { plan: { aliased, moved, unsettled }, traits }: Changes): Promise<void> => {
  if (aliased.length > 0) await client.query('update person set is_aliased = true where id = any ($1)', [aliased]);
  if (moved.size > 0) {
    await client.query(
      `update person p set canonical = t.speaker from unnest($1::int[], $2::int[]) as t (canonical, speaker)
       where p.canonical = t.canonical`,
      [[...moved.keys()], [...moved.values()]],
    );
  }
  if (unsettled.length > 0) {
    await client.query(
      `update person p set canonical = t.speaker from (
         select distinct on (canonical) canonical, id as speaker from person where canonical = any ($1)
         order by canonical, is_known desc, is_aliased, external_id collate "C"
       ) as t where p.canonical = t.canonical and t.canonical <> t.speaker`,
      [unsettled],
    );
  }
  if (traits.size > 0) await writeTraits(client, traits);
};

const writeTraits = async (client: PoolClient, traits: ReadonlyMap<number, Traits>): Promise<void> => {
  const changed = [...traits].map(([id, said]) => {
    const entries = [...said];
    return {
      id,
      values: storableJson(Object.fromEntries(entries.map(([name, { value }]) => [name, value]))),
      times: storableJson(Object.fromEntries(entries.map(([name, { at }]) => [name, at]))),
      last: new Date(Math.max(...entries.map(([, { at }]) => at))),
    };
  });
  await client.query(
    `update person p set traits = t.traits::json, trait_times = t.times::json, traits_at = t.last
     from unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) as t (id, traits, times, last) where p.id = t.id`,
    [changed.map(({ id }) => id), changed.map(({ values }) => values), changed.map(({ times }) => times), changed.map(({ last }) => last)],
  );
};
