import type { BusMessage } from '@pca/contracts';
import { DomainError } from '@pca/errors';

/** The largest message in bytes of UTF-8 JSON: what Kafka takes by default too. */
export const messageBytesMaxDefault = 1024 * 1024;

const keyBytesMax = 1024;
const topicPattern = /^[A-Za-z0-9._-]{1,249}$/;

export interface EncodedMessage {
  readonly topic: string;
  readonly key: string;
  /** `{"key":…,"envelope":…}` as one line of JSON: the serialisation has no line break and no NUL of its own. */
  readonly line: string;
  /** Length of the line in UTF-8. */
  readonly bytes: number;
}

/**
 * A message as it is stored, checked against the limits that every bus has. Throws BAD_USER_INPUT for a topic or key that no bus takes and
 * PAYLOAD_TOO_LARGE for a message over the limit, so that the outbox refuses it inside the writer's transaction and never hands the relay
 * something that can not be published.
 */
export const encodeMessage = (message: BusMessage, messageBytesMax = messageBytesMaxDefault): EncodedMessage => {
  const { topic, key, envelope } = message;
  if (!topicPattern.test(topic)) {
    throw new DomainError('BAD_USER_INPUT', 'A topic name is 1 to 249 letters, digits, ".", "_" or "-"', { topic: topic.slice(0, 249) });
  }
  if (key === '' || Buffer.byteLength(key) > keyBytesMax) {
    throw new DomainError('BAD_USER_INPUT', `The key of a message has 1 to ${keyBytesMax} bytes`, { topic, type: envelope.type });
  }
  const line = JSON.stringify({ key, envelope });
  const bytes = Buffer.byteLength(line);
  if (bytes > messageBytesMax) {
    throw new DomainError('PAYLOAD_TOO_LARGE', `A message of ${bytes} bytes is over the limit of ${messageBytesMax}`, {
      topic,
      type: envelope.type,
      bytes,
      bytesMax: messageBytesMax,
    });
  }
  return { topic, key, line, bytes };
};

/** The message in a line that `encodeMessage` wrote. Throws when the line is something else. */
export const decodeMessage = (topic: string, line: string): BusMessage => {
  const { key, envelope } = JSON.parse(line) as Partial<BusMessage>;
  if (typeof key !== 'string' || typeof envelope !== 'object' || envelope === null) throw new Error(`Not a stored message of ${topic}`);
  return { topic, key, envelope };
};
