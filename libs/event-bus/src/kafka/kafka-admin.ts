import { setTimeout as sleep } from 'node:timers/promises';
import { isDeadLetterTopic } from '@pca/contracts';
import kafkajs, { type Admin, type Cluster } from 'kafkajs';
import pLimit from 'p-limit';
import type { Begun } from '../delivery/partition-delivery.js';
import { deadLetterBytesMax } from '../encode-message.js';
import type { PartitionOffsets } from '../event-bus.js';
import { decodeBegun } from './group/group-positions.js';
import { kafkaErrorType, type KafkaLink } from './kafka-link.js';
import { withinMs } from './within-ms.js';

/** Where a group stands in a partition. */
export interface GroupPosition {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  readonly begun: Begun | undefined;
}

export interface NewTopic {
  readonly name: string;
  readonly partitions: number;
}

const dayMs = 86_400_000;
const retentionMs = 7 * dayMs;
const deadLetterRetentionMs = 30 * dayMs;
/** What a record has around its key and value: headers, lengths, and what compression adds to what it cannot compress. */
const recordOverheadBytesMax = 64 * 1024;
const lookAgainMs = 20;
/** What kafkajs keeps as the position of a group that the retention has overtaken. */
const atStart = '-2';
const unknownTopic = 'UNKNOWN_TOPIC_OR_PARTITION';
/** Refusals of brokers that have just begun, or of topics that have: the same question is answered soon. */
const passing = new Set([
  unknownTopic,
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
]);

/** What is asked of the brokers outside of sending and fetching; each question is answered within `msMax`, or rejected. */
export class KafkaAdmin {
  private current: { readonly link: KafkaLink; readonly admin: Admin; readonly connected: Promise<void> } | undefined;
  /** One after the other: kafkajs keeps one picture of the cluster for all of them, and each replaces it by its own. */
  private readonly oneByOne = pLimit(1);

  constructor(
    private readonly openLink: () => KafkaLink,
    private readonly msMax: number,
    private readonly messageBytesMax: number,
    private readonly replicationFactor: number,
  ) {}

  /** Makes those that are not there; those that are keep their partitions and settings. Resolves when all of them can be written to. */
  async ensureTopics(topics: readonly NewTopic[]): Promise<void> {
    if (topics.length === 0) return;
    await this.ask(async (admin) => {
      const there = new Set(await admin.listTopics());
      const missing = topics.filter(({ name }) => !there.has(name));
      if (missing.length > 0) await admin.createTopics({ topics: missing.map((topic) => this.configOf(topic)), waitForLeaders: false });
      // A partition that has its leader in the books may still refuse for a moment, and then what was sent for the others is sent again.
      for (const { name } of topics) await admin.fetchTopicOffsets(name);
    });
  }

  /** Empty when there is no such topic. */
  offsets(topic: string): Promise<PartitionOffsets[]> {
    return this.ask(async (admin) => {
      if (!(await isThere(admin, topic))) {
        // It may have been there before: kafkajs would go on asking for it, and fail with every other question.
        this.drop();
        return [];
      }
      const offsets = await admin.fetchTopicOffsets(topic);
      return offsets
        .map(({ partition, low, high }) => ({ partition, start: Number(low), end: Number(high) }))
        .sort((one, other) => one.partition - other.partition);
    });
  }

  /** Where the group stands, in all topics where none are named; not of partitions in which it has no position. */
  positions(group: string, topics: readonly string[] = []): Promise<GroupPosition[]> {
    return this.ask(async (admin) => {
      const answers = await admin.fetchOffsets({ groupId: group, topics: [...topics] });
      return answers
        .flatMap(({ topic, partitions }) =>
          partitions.map(({ partition, offset, metadata }) => ({
            topic,
            partition,
            position: Number(offset === atStart ? 0 : offset),
            begun: decodeBegun(metadata),
          })),
        )
        .filter(({ position }) => position >= 0);
    });
  }

  members(group: string): Promise<number> {
    return this.ask(async (admin) => {
      const { groups } = await admin.describeGroups([group]);
      return groups.reduce((sum, { members }) => sum + members.length, 0);
    });
  }

  /** False when the group has members, who alone may do so then. */
  async setPositions(group: string, topic: string, positions: ReadonlyMap<number, number>): Promise<boolean> {
    const link = this.openLink();
    try {
      await withinMs(this.msMax, 'Setting the positions of a group', (signal) =>
        untilAnswered(signal, () => commitAlone(link, group, topic, positions)),
      );
      return true;
    } catch (error) {
      if (['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'REBALANCE_IN_PROGRESS'].includes(kafkaErrorType(error) ?? '')) return false;
      throw error;
    } finally {
      link.cut();
    }
  }

  async deleteGroup(group: string): Promise<void> {
    await this.ask((admin) => admin.deleteGroups([group]));
  }

  async ping(): Promise<void> {
    await this.ask((admin) => admin.describeCluster());
  }

  close(): void {
    this.drop();
  }

  private configOf({ name, partitions }: NewTopic): {
    topic: string;
    numPartitions: number;
    replicationFactor: number;
    configEntries: { name: string; value: string }[];
  } {
    const isForDeadLetters = isDeadLetterTopic(name);
    const bytesMax = (isForDeadLetters ? deadLetterBytesMax : this.messageBytesMax) + recordOverheadBytesMax;
    return {
      topic: name,
      numPartitions: partitions,
      replicationFactor: this.replicationFactor,
      configEntries: [
        { name: 'retention.ms', value: String(isForDeadLetters ? deadLetterRetentionMs : retentionMs) },
        { name: 'max.message.bytes', value: String(bytesMax) },
        // By the clock of the broker: it refuses what comes from an hour ahead, and drops at once what comes from eight days ago.
        { name: 'message.timestamp.type', value: 'LogAppendTime' },
        // The broker turns into gzip what other programs send in codecs that this one cannot read.
        { name: 'compression.type', value: 'gzip' },
      ],
    };
  }

  private ask<T>(question: (admin: Admin) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.msMax;
    return this.oneByOne(async () => {
      try {
        return await withinMs(deadline - performance.now(), 'A question to Kafka', (signal) =>
          untilAnswered(signal, async () => {
            const { connected, admin } = (this.current ??= this.open());
            await connected;
            return await question(admin).catch((error: unknown) => {
              // kafkajs goes on asking for every topic that it was ever asked about, and fails for all of them when one was deleted.
              if (kafkaErrorType(error) === unknownTopic) this.drop();
              throw error;
            });
          }),
        );
      } catch (error) {
        this.drop();
        throw error;
      }
    });
  }

  private open(): NonNullable<typeof this.current> {
    const link = this.openLink();
    const admin = link.kafka.admin();
    return { link, admin, connected: admin.connect() };
  }

  private drop(): void {
    this.current?.link.cut();
    this.current = undefined;
  }
}

const isThere = async (admin: Admin, topic: string): Promise<boolean> => {
  try {
    await admin.fetchTopicMetadata({ topics: [topic] });
    return true;
  } catch (error) {
    if (kafkaErrorType(error) === unknownTopic) return false;
    throw error;
  }
};

const untilAnswered = async <T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !passing.has(kafkaErrorType(error) ?? '')) throw error;
      await sleep(lookAgainMs);
    }
  }
};

/** Commits as a program that is no member, which the broker takes for a group that has none: atomically, where kafkajs's own way joins. */
const commitAlone = async (link: KafkaLink, group: string, topic: string, positions: ReadonlyMap<number, number>): Promise<void> => {
  const cluster = clusterOf(link);
  await cluster.connect();
  await cluster.refreshMetadata();
  const coordinator = await cluster.findGroupCoordinator({ groupId: group });
  const partitions = [...positions].map(([partition, offset]) => ({ partition, offset: String(offset) }));
  await coordinator.offsetCommit({ groupId: group, groupGenerationId: -1, memberId: '', topics: [{ topic, partitions }] });
};

/** kafkajs gives its view of the cluster to the assigner of a consumer alone. */
const clusterOf = (link: KafkaLink): Cluster => {
  let found: Cluster | undefined;
  link.kafka.consumer({
    groupId: 'none',
    partitionAssigners: [
      (config) => {
        found = config.cluster;
        return kafkajs.PartitionAssigners.roundRobin(config);
      },
    ],
  });
  if (!found) throw new Error('kafkajs makes its assigners together with the consumer no more');
  return found;
};
