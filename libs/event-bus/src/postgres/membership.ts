import type { Begun } from '../delivery/partition-delivery.js';
import type { Claimed, PostgresSession } from './postgres-session.js';

/** A topic as a subscription consumes it; `consumerId` is 0 for a broadcast, which has no row. */
export interface ConsumedTopic {
  readonly consumerId: number;
  readonly topicId: number;
  readonly topic: string;
}

/** How a subscription comes by its partitions, and where it keeps its positions. */
export interface Membership {
  readonly topics: readonly ConsumedTopic[];
  enter(session: PostgresSession): Promise<void>;
  /** How many partitions of each topic this member should have now, by the place in `topics`. */
  shares(session: PostgresSession): Promise<readonly number[]>;
  claim(session: PostgresSession, topic: ConsumedTopic, owned: readonly number[], share: number): Promise<Claimed[]>;
  release(session: PostgresSession, topic: ConsumedTopic, partition: number): Promise<void>;
  advance(session: PostgresSession, topic: ConsumedTopic, partition: number, from: number, to: number, begun?: Begun): Promise<void>;
  /** How far a broadcast came; a group asks its row. */
  reached(topic: string, partition: number): number | undefined;
  /** Ends the membership with all that belongs to it, so that others can have it at once. */
  leave(session: PostgresSession): Promise<void>;
}

/** A member of a consumer group: partitions are locks of its session, positions are rows. */
export class GroupMembership implements Membership {
  constructor(
    private readonly group: string,
    readonly topics: readonly ConsumedTopic[],
    private readonly partitions: ReadonlyMap<string, number>,
  ) {}

  enter(session: PostgresSession): Promise<void> {
    return session.enter(
      this.group,
      this.topics.map(({ consumerId }) => consumerId),
    );
  }

  async shares(session: PostgresSession): Promise<readonly number[]> {
    const members = await session.members(this.topics.map(({ consumerId }) => consumerId));
    return this.topics.map(({ consumerId, topic }) =>
      Math.ceil((this.partitions.get(topic) ?? 0) / Math.max(1, members.get(consumerId) ?? 1)),
    );
  }

  claim(session: PostgresSession, { consumerId }: ConsumedTopic, owned: readonly number[], share: number): Promise<Claimed[]> {
    return owned.length >= share ? Promise.resolve([]) : session.claim(consumerId, owned, share);
  }

  async release(session: PostgresSession, { consumerId }: ConsumedTopic, partition: number): Promise<void> {
    await session.release(this.group, consumerId, partition);
  }

  advance(session: PostgresSession, topic: ConsumedTopic, partition: number, from: number, to: number, begun?: Begun): Promise<void> {
    return session.advance({ consumerId: topic.consumerId, partition, from, to, begun });
  }

  reached(): undefined {
    return undefined;
  }

  leave(session: PostgresSession): Promise<void> {
    return session.leave(this.group);
  }
}

/** Every partition, for this process alone; positions are kept in memory, so that a new connection goes on where the last one broke. */
export class BroadcastMembership implements Membership {
  constructor(
    readonly topics: readonly ConsumedTopic[],
    private readonly positions: ReadonlyMap<string, Map<number, number>>,
  ) {}

  enter(): Promise<void> {
    return Promise.resolve();
  }

  shares(): Promise<readonly number[]> {
    return Promise.resolve(this.topics.map(({ topic }) => this.positions.get(topic)?.size ?? 0));
  }

  claim(_session: PostgresSession, { topic }: ConsumedTopic, owned: readonly number[]): Promise<Claimed[]> {
    const free = [...(this.positions.get(topic) ?? [])].filter(([partition]) => !owned.includes(partition));
    return Promise.resolve(free.map(([partition, position]) => ({ partition, position, begun: undefined })));
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  advance(_session: PostgresSession, { topic }: ConsumedTopic, partition: number, _from: number, to: number): Promise<void> {
    this.positions.get(topic)?.set(partition, to);
    return Promise.resolve();
  }

  reached(topic: string, partition: number): number | undefined {
    return this.positions.get(topic)?.get(partition);
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }
}
