import kafkajs, { type ICustomPartitioner, type Producer, type TopicMessages } from 'kafkajs';
import type { EncodedMessage } from '../encode-message.js';
import type { KafkaLink } from './kafka-link.js';
import { partitionOf } from '../partition-of.js';
import { toKafka } from './kafka-message.js';
import { withinMs } from './within-ms.js';

/** Below what a broker takes where nothing was configured (1 MiB less a little), with room for the headers. */
const requestBytesMax = 900 * 1024;
const headersBytes = 150;
/** kafkajs sorts messages into partitions in quadratic time. */
const requestMessagesMax = 2_000;

/** Cuts into pieces that fit one request; a message that is larger goes alone. */
export const requestsOf = (messages: readonly EncodedMessage[]): EncodedMessage[][] => {
  const requests: EncodedMessage[][] = [];
  let bytes = Infinity;
  for (const message of messages) {
    const size = message.bytes + headersBytes;
    const last = requests.at(-1);
    if (last && last.length < requestMessagesMax && bytes + size <= requestBytesMax) {
      last.push(message);
      bytes += size;
    } else {
      requests.push([message]);
      bytes = size;
    }
  }
  return requests;
};

/**
 * Sends one request after the other, so that nothing overtakes what failed. Not idempotent in Kafka's sense: that needs sequence numbers
 * which kafkajs may give twice after a broken connection, and then the broker drops what it acknowledges. A repeat is known by its id.
 */
export class KafkaSender {
  private current: { readonly link: KafkaLink; readonly producer: Producer; readonly connected: Promise<void> } | undefined;

  constructor(
    private readonly openLink: () => KafkaLink,
    private readonly msMax: number,
  ) {}

  /** Resolves when all in-sync replicas have all of them. After a rejection nothing of it is still on its way. */
  async send(messages: readonly EncodedMessage[]): Promise<void> {
    const deadline = performance.now() + 2 * this.msMax;
    for (const request of requestsOf(messages)) {
      const current = (this.current ??= this.open());
      const sent = () => current.connected.then(() => current.producer.sendBatch({ ...this.how, topicMessages: byTopic(request) }));
      try {
        await withinMs(Math.min(this.msMax, deadline - performance.now()), 'A request to Kafka', sent);
      } catch (error) {
        this.close();
        throw error;
      }
    }
  }

  close(): void {
    this.current?.link.cut();
    this.current = undefined;
  }

  private get how(): { acks: number; timeout: number; compression: number } {
    return { acks: -1, timeout: this.msMax, compression: kafkajs.CompressionTypes.GZIP };
  }

  private open(): NonNullable<typeof this.current> {
    const link = this.openLink();
    const producer = link.kafka.producer({
      createPartitioner,
      allowAutoTopicCreation: false,
      maxInFlightRequests: 1,
    });
    return { link, producer, connected: producer.connect() };
  }
}

/** What kafkajs's own partitioner chooses, which calculates with 64 bits in JavaScript: a twentieth of what a taken event costs. */
const createPartitioner: ICustomPartitioner =
  () =>
  ({ message: { key }, partitionMetadata }) =>
    partitionOf(String(key), partitionMetadata.length);

const byTopic = (messages: readonly EncodedMessage[]): TopicMessages[] => {
  const topics = Map.groupBy(messages, ({ topic }) => topic);
  return [...topics].map(([topic, ofTopic]) => ({ topic, messages: ofTopic.map(toKafka) }));
};
