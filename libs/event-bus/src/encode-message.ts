import { type BusMessage, type EventEnvelope, isDeadLetterTopic } from '@pca/contracts';
import { DomainError } from '@pca/errors';

/** The largest message in bytes of UTF-8 JSON: what Kafka takes by default too. */
export const messageBytesMaxDefault = 1024 * 1024;
/** Of a dead letter, which holds a message as text inside its own JSON. */
export const deadLetterBytesMax = 4 * 1024 * 1024;

const keyBytesMax = 1024;
const topicPattern = /^[A-Za-z0-9._-]{1,249}$/;

export interface EncodedMessage {
  readonly topic: string;
  readonly key: string;
  readonly consumerGroup?: string;
  readonly traceparent: string | null;
  /** What stands before the envelope in its line. */
  readonly head: string;
  /** The envelope as JSON: the serialisation has no line break and no NUL of its own. */
  readonly json: string;
  /** Length of `lineOf` it in UTF-8. */
  readonly bytes: number;
}

/** Throws BAD_USER_INPUT for a name that no bus takes. */
export const checkTopic = (topic: string): void => {
  if (topicPattern.test(topic)) return;
  throw new DomainError('BAD_USER_INPUT', 'A topic name is 1 to 249 letters, digits, ".", "_" or "-"', { topic: topic.slice(0, 249) });
};

/**
 * A message as it is stored, checked against the limits that every bus has. Throws BAD_USER_INPUT for a topic or key that no bus takes and
 * PAYLOAD_TOO_LARGE for a message over the limit, so that the outbox refuses it inside the writer's transaction and never hands the relay
 * something that can not be published.
 */
export const encodeMessage = (message: BusMessage, messageBytesMax = messageBytesMaxDefault): EncodedMessage => {
  const { topic, key, envelope, consumerGroup } = message;
  checkTopic(topic);
  if (key === '' || Buffer.byteLength(key) > keyBytesMax) {
    throw new DomainError('BAD_USER_INPUT', `The key of a message has 1 to ${keyBytesMax} bytes`, { topic, type: envelope.type });
  }
  const bytesMax = isDeadLetterTopic(topic) ? deadLetterBytesMax : messageBytesMax;
  const json = JSON.stringify(envelope);
  const head = headOf(message);
  const bytes = Buffer.byteLength(json) + Buffer.byteLength(head) + 1;
  if (bytes > bytesMax) {
    throw new DomainError('PAYLOAD_TOO_LARGE', `A message of ${bytes} bytes is over the limit of ${bytesMax}`, {
      topic,
      type: envelope.type,
      bytes,
      bytesMax,
    });
  }
  const { traceparent } = envelope;
  return { topic, key, traceparent, head, json, bytes, ...(consumerGroup !== undefined && { consumerGroup }) };
};

const headOf = ({ key, consumerGroup }: Pick<BusMessage, 'key' | 'consumerGroup'>): string => {
  const forGroup = consumerGroup === undefined ? '' : `"consumerGroup":${JSON.stringify(consumerGroup)},`;
  return `{"key":${JSON.stringify(key)},${forGroup}"envelope":`;
};

/** The message as one line of JSON, `{"key":…,"envelope":…}`: what the outbox and the log of Postgres keep. */
export const lineOf = ({ head, json }: EncodedMessage): string => `${head}${json}}`;

/** The message in a line that `lineOf` gave. Throws when the line is something else. */
export const decodeMessage = (topic: string, line: string): BusMessage => {
  const stored = JSON.parse(line) as Partial<BusMessage> | null;
  const { key, envelope, consumerGroup } = stored ?? {};
  if (typeof key !== 'string') throw new Error(`Not a stored message of ${topic}`);
  checkEnvelope(envelope);
  return consumerGroup === undefined ? { topic, key, envelope } : { topic, key, envelope, consumerGroup: String(consumerGroup) };
};

/** Throws unless the value has at least the shape of an envelope; the contract is checked by whoever knows its types. */
export function checkEnvelope(value: unknown): asserts value is EventEnvelope {
  const { id, type } = (typeof value === 'object' && value !== null ? value : {}) as Partial<EventEnvelope>;
  if (typeof id !== 'string' || typeof type !== 'string') throw new Error('Not an event envelope: it has no id and type');
}
