import kafkajs, { type Cluster, type PartitionAssigner } from 'kafkajs';

const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol;

/**
 * Shares the partitions of each topic among the members that consume it, as evenly as whole partitions go, and those that are left over to
 * whoever has the fewest in all. kafkajs's own gives every member a part of the leader's topics, whether it consumes them or not.
 */
export const shareOut = (
  subscriptions: ReadonlyMap<string, readonly string[]>,
  partitionsOf: ReadonlyMap<string, readonly number[]>,
): Map<string, Record<string, number[]>> => {
  const shares = new Map([...subscriptions.keys()].sort().map((member): [string, Record<string, number[]>] => [member, {}]));
  const loads = new Map([...shares.keys()].map((member) => [member, 0]));
  for (const topic of [...partitionsOf.keys()].sort()) {
    const takers = [...shares.keys()]
      .filter((member) => subscriptions.get(member)?.includes(topic))
      .sort((one, other) => (loads.get(one) ?? 0) - (loads.get(other) ?? 0));
    for (const [i, partition] of (partitionsOf.get(topic) ?? []).entries()) {
      const taker = takers[i % takers.length];
      if (taker === undefined) break;
      ((shares.get(taker) ?? {})[topic] ??= []).push(partition);
      loads.set(taker, (loads.get(taker) ?? 0) + 1);
    }
  }
  return shares;
};

/**
 * `mayJoin` is asked before every joining of the group; while it says no the joining is put off. That is where a member that is to give up
 * partitions ends the calls under way first, because the group waits for it and kafkajs has no other place to say so.
 */
export const balancedAssigner =
  (mayJoin: () => boolean): PartitionAssigner =>
  ({ cluster }) => ({
    name: 'pca-balanced',
    version: 1,
    protocol: ({ topics }) => {
      if (!mayJoin()) throw Object.assign(new Error('Calls to the handler are under way'), { type: 'REBALANCE_IN_PROGRESS' });
      return { name: 'pca-balanced', metadata: MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }) };
    },
    assign: async ({ members }) => {
      const subscriptions = new Map(
        members.map(({ memberId, memberMetadata }) => [memberId, MemberMetadata.decode(memberMetadata)?.topics ?? []]),
      );
      const partitionsOf = await partitionsOfAll(cluster, new Set([...subscriptions.values()].flat()));
      return [...shareOut(subscriptions, partitionsOf)].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }),
      }));
    },
  });

const partitionsOfAll = async (cluster: Cluster, topics: ReadonlySet<string>): Promise<Map<string, number[]>> => {
  await cluster.addMultipleTargetTopics([...topics]);
  return new Map(
    [...topics].map((topic) => {
      const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
      return [topic, partitions.sort((one, other) => one - other)];
    }),
  );
};
