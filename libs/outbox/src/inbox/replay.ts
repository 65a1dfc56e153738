import { type Queryable, rowsOf } from '../outbox-table.js';
import { type Group, GenerationEnded, lockGroup, type Positions } from './inbox.js';

/**
 * Begins the group's next generation, in the transaction in which its projection is emptied. Waits until no handler of the group is under
 * way, and from then on none can write; when the transaction commits, they all go on under the new generation, from the start of their
 * topics, and whatever was handled before counts as replayed.
 *
 * `done` is where the group stands on the bus now, or stood at any time before: what it handled beyond that is in the inbox. Throws
 * GenerationEnded when another replay was faster.
 */
export const beginGeneration = async (transaction: Queryable, group: Group, done: Positions): Promise<Group> => {
  await lockGroup(transaction, group);
  // A replay that had not caught up stands far behind what was handled before it.
  const replayUntil = furthest(group.replayUntil, done);
  const [row] = rowsOf<{ generation: number }>(
    await transaction.query(
      `with begun as (
         update consumer_group set generation = generation + 1, replay_until = $3, replayed_at = now()
         where id = $1 and generation = $2 returning generation
       ) select generation from begun`,
      [group.id, group.generation, JSON.stringify(replayUntil)],
    ),
  );
  if (!row) throw new GenerationEnded(`The group ${group.name} has begun another replay`);
  return { ...group, generation: row.generation, replayUntil };
};

/** Nothing counts as replayed by its offset any more: the group has caught up, or what it consumes now is another log. */
export const endReplay = async (database: Queryable, group: Group): Promise<void> => {
  await database.query(`update consumer_group set replay_until = '{}' where id = $1 and generation = $2`, [group.id, group.generation]);
};

/** For each partition the larger of two offsets. */
export const furthest = (one: Positions, other: Positions): Positions => {
  const result: Record<string, Record<string, number>> = {};
  for (const positions of [one, other]) {
    for (const [topic, partitions] of Object.entries(positions)) {
      const reached = (result[topic] ??= {});
      for (const [partition, offset] of Object.entries(partitions)) reached[partition] = Math.max(offset, reached[partition] ?? 0);
    }
  }
  return result;
};
