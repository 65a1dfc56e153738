import type { DeliveredMessage } from '@pca/event-bus';
import { type Queryable, rowsOf } from '../outbox-table.js';

/** Offsets by topic and partition. */
export type Positions = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A consumer group as its database knows it. */
export interface Group {
  readonly id: number;
  readonly name: string;
  /** Counts its replays; the group consumes under it. */
  readonly generation: number;
  /** Before these offsets everything was done when the generation began. */
  readonly replayUntil: Positions;
}

/** A message that this generation of the group had not handled yet. */
export interface ReceivedMessage<M extends DeliveredMessage> {
  readonly message: M;
  /** An earlier generation was done with it: what follows from it was told to others then, or was given up. */
  readonly replayed: boolean;
}

/** The group was told to replay: whoever consumes under the old generation can write nothing more. */
export class GenerationEnded extends Error {
  override readonly name = 'GenerationEnded';
}

// Two numbers, so that it meets no lock of the relay, which is one.
const lockNamespace = 0x70636769;
const keepDays = 8;
const pruneRows = 5_000;

/** The group as it stands now; it is made when it is not there. */
export const openGroup = async (database: Queryable, name: string): Promise<Group> => {
  const read = async (): Promise<Group | undefined> =>
    rowsOf<Group>(
      await database.query('select id, name, generation, replay_until as "replayUntil" from consumer_group where name = $1', [name]),
    )[0];
  const known = await read();
  if (known) return known;
  await database.query('insert into consumer_group (name) values ($1) on conflict do nothing', [name]);
  const made = await read();
  if (!made) throw new Error(`The group ${name} could not be made`);
  return made;
};

/**
 * Takes messages in, in the caller's transaction: those that this generation of the group had not handled yet, in their order; what comes
 * twice comes once. Their ids are kept by the same transaction as what the handler does, so an effect happens exactly once, however often a
 * message is delivered within eight days (the bus keeps seven). The ids must be UUIDs, which `parseEvent` sees to.
 *
 * Throws GenerationEnded when the group has begun a replay since it was opened. While this transaction is open, none can begin. Until it
 * ends, it waits for a lock no longer than half of its statement timeout.
 */
export const receive = async <M extends DeliveredMessage>(
  transaction: Queryable,
  group: Group,
  messages: readonly M[],
): Promise<readonly ReceivedMessage<M>[]> => {
  // A statement of its own: what waits for the lock must not look at the group with eyes from before the wait. From here on a wait for a lock
  // ends as one (55P03), before the statement's own time is up (57014), which would be held against the messages.
  await transaction.query(
    `with patience as materialized (
       select set_config('lock_timeout', (extract(epoch from current_setting('statement_timeout')::interval) * 500)::int::text, true)
     )
     select pg_advisory_xact_lock_shared($1, $2) from patience`,
    [lockNamespace, group.id],
  );
  const [row] = rowsOf<{ again: string[]; first: string[] }>(
    await transaction.query(
      `with g as materialized (select id, generation from consumer_group where id = $1 and generation = $2),
       m as materialized (
         select e.id, min(e.i) as i from unnest($3::uuid[]) with ordinality as e (id, i) group by e.id
       ),
       again as (
         update inbox b set generation = g.generation, received_at = now() from g, m
         where $2 > 0 and b.group_id = g.id and b.event_id = m.id and b.generation < g.generation returning m.i
       ),
       first as (
         insert into inbox (group_id, event_id, generation) select g.id, m.id, g.generation from g, m order by m.id
         on conflict do nothing returning event_id
       )
       select array(select i from again) as again, array(select m.i from m join first on first.event_id = m.id) as first from g`,
      [group.id, group.generation, messages.map(({ envelope }) => envelope.id)],
    ),
  );
  if (!row) throw new GenerationEnded(`The group ${group.name} has begun a replay`);
  const again = new Set(row.again.map(Number));
  const first = new Set(row.first.map(Number));
  return messages.flatMap((message, index): ReceivedMessage<M>[] => {
    if (again.has(index + 1)) return [{ message, replayed: true }];
    return first.has(index + 1) ? [{ message, replayed: isBefore(message, group.replayUntil) }] : [];
  });
};

const isBefore = ({ topic, partition, offset }: DeliveredMessage, positions: Positions): boolean =>
  offset < (positions[topic]?.[partition] ?? 0);

/**
 * Undoes that messages were received in this transaction: they were given up, and may be redriven. Those that were replayed stay replayed,
 * wherever on the bus they come again.
 */
export const forget = async (
  transaction: Queryable,
  group: Group,
  received: readonly ReceivedMessage<DeliveredMessage>[],
): Promise<void> => {
  const idsOf = (replayed: boolean): string[] =>
    received.filter((each) => each.replayed === replayed).map(({ message }) => message.envelope.id);
  await transaction.query(
    `with kept as (update inbox set generation = generation - 1 where group_id = $1 and event_id = any ($2::uuid[]))
     delete from inbox where group_id = $1 and event_id = any ($3::uuid[])`,
    [group.id, idsOf(true), idsOf(false)],
  );
};

/** Takes the lock that keeps every generation of the group out until the transaction ends. */
export const lockGroup = async (transaction: Queryable, group: Group): Promise<void> => {
  await transaction.query('select pg_advisory_xact_lock($1, $2)', [lockNamespace, group.id]);
};

/** Which of the groups have begun a replay since they were opened, by id. */
export const endedGenerations = async (database: Queryable, groups: readonly Group[]): Promise<ReadonlySet<number>> => {
  const rows = rowsOf<{ id: number }>(
    await database.query(
      `select g.id from consumer_group g join unnest($1::int[], $2::int[]) as o (id, generation) on g.id = o.id
       where g.generation <> o.generation`,
      [groups.map(({ id }) => id), groups.map(({ generation }) => generation)],
    ),
  );
  return new Set(rows.map(({ id }) => id));
};

/** Drops what is older than eight days, a few thousand rows at a time; instances that do it at once take different ones. */
export const pruneInbox = async (database: Queryable): Promise<void> => {
  for (let dropped = pruneRows; dropped === pruneRows;) {
    const [row] = rowsOf<{ dropped: number }>(
      await database.query(
        `with gone as (
           delete from inbox where ctid = any (array(
             select ctid from inbox where received_at < now() - make_interval(days => $1)
             order by received_at limit $2 for update skip locked
           )) returning 1
         ) select count(*)::int as dropped from gone`,
        [keepDays, pruneRows],
      ),
    );
    dropped = row?.dropped ?? 0;
  }
};

/** Age of the oldest row in seconds; 0 when there is none. */
export const inboxOldestAgeSeconds = async (database: Queryable): Promise<number> =>
  Math.max(
    0,
    rowsOf<{ age: number }>(
      await database.query(
        'select extract(epoch from clock_timestamp() - received_at)::float8 as age from inbox order by received_at limit 1',
      ),
    )[0]?.age ?? 0,
  );
