import type { Begun } from '../../delivery/partition-delivery.js';
import type { Place } from '../../delivery/partition-worker.js';
import type { GroupPosition, KafkaAdmin } from '../kafka-admin.js';

/** Offsets by topic and partition. */
export type Offsets = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** Where a subscription keeps its positions. */
export interface Positions {
  /** The group's name on the broker. */
  readonly groupId: string;
  /** How far the partitions that this member was just given are done. */
  read(places: readonly Place[]): Promise<readonly GroupPosition[]>;
  /** `commit` keeps it with the broker, as a member. */
  advance(place: Place, done: number, commit: () => Promise<void>): Promise<void>;
  leave(): Promise<void>;
}

/** A consumer group: positions are the group's committed offsets, with what was begun behind them as their metadata. */
export class GroupPositions implements Positions {
  /** `initial` is where the group begins in partitions in which it has no position yet. */
  constructor(
    readonly groupId: string,
    private readonly admin: KafkaAdmin,
    private readonly initial: Offsets,
  ) {}

  async read(places: readonly Place[]): Promise<readonly GroupPosition[]> {
    const topics = [...new Set(places.map(({ topic }) => topic))];
    const kept = topics.length === 0 ? [] : await this.admin.positions(this.groupId, topics);
    return places.map(({ topic, partition }) => {
      const position = this.initial.get(topic)?.get(partition) ?? 0;
      return (
        kept.find((known) => known.topic === topic && known.partition === partition) ?? { topic, partition, position, begun: undefined }
      );
    });
  }

  advance(_place: Place, _done: number, commit: () => Promise<void>): Promise<void> {
    return commit();
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }
}

/** Every partition, for this process alone; positions are kept in memory, so that a new connection goes on where the last one broke. */
export class BroadcastPositions implements Positions {
  private readonly positions: Map<string, Map<number, number>>;

  constructor(
    readonly groupId: string,
    private readonly admin: KafkaAdmin,
    initial: Offsets,
  ) {
    this.positions = new Map([...initial].map(([topic, offsets]) => [topic, new Map(offsets)]));
  }

  read(places: readonly Place[]): Promise<readonly GroupPosition[]> {
    const read = ({ topic, partition }: Place) => ({
      topic,
      partition,
      position: this.positions.get(topic)?.get(partition) ?? 0,
      begun: undefined,
    });
    return Promise.resolve(places.map(read));
  }

  advance({ topic, partition }: Place, done: number): Promise<void> {
    const ofTopic = this.positions.get(topic) ?? new Map<number, number>();
    this.positions.set(topic, ofTopic.set(partition, done));
    return Promise.resolve();
  }

  /** Kafka needs a group for every consumer, and would keep this one, empty, for a while. */
  leave(): Promise<void> {
    return this.admin.deleteGroup(this.groupId).catch(() => undefined);
  }
}

/** What is kept beside a committed offset: which messages behind it were begun, and for the how-manieth time. */
export const encodeBegun = (begun: Begun | undefined): string =>
  begun ? JSON.stringify({ attempt: begun.attempt, until: begun.until }) : '';

/** Undefined where nothing was begun, and for what another program wrote. */
export const decodeBegun = (metadata: string | null | undefined): Begun | undefined => {
  if (!metadata) return undefined;
  try {
    const { attempt, until } = (JSON.parse(metadata) ?? {}) as Partial<Begun>;
    return Number.isSafeInteger(attempt) && Number.isSafeInteger(until) ? { attempt: Number(attempt), until: Number(until) } : undefined;
  } catch {
    return undefined;
  }
};
