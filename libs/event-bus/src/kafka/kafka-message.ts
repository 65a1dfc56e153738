import type { IHeaders, KafkaMessage, Message } from 'kafkajs';
import type { Received } from '../delivery/partition-delivery.js';
import { checkEnvelope, type EncodedMessage } from '../encode-message.js';

/** The group for which alone a message is meant. */
const groupHeader = 'pca-consumer-group';

/**
 * A message on the wire: its value is the envelope as JSON, so that any program can read and write it. Nothing is said of that in a header,
 * because kafkajs spends half a kilobyte of memory on each.
 */
export const toKafka = ({ key, json, traceparent, consumerGroup }: EncodedMessage): Message => ({
  key,
  value: json,
  headers: {
    ...(traceparent !== null && { traceparent }),
    ...(consumerGroup !== undefined && { [groupHeader]: consumerGroup }),
  },
});

/** Reads what anybody may have written: what is no message is a fault, with its bytes as text. */
export const fromKafka = (topic: string, { key, value, headers, offset }: KafkaMessage): Received => {
  const text = value?.toString() ?? '';
  const name = key?.toString() ?? null;
  try {
    if (value === null) throw new Error('It has no value');
    if (name === null || name === '') throw new Error('It has no key');
    const envelope: unknown = JSON.parse(text);
    checkEnvelope(envelope);
    const consumerGroup = headerOf(headers, groupHeader);
    const message = { topic, key: name, envelope };
    return { offset: Number(offset), what: consumerGroup === undefined ? message : { ...message, consumerGroup } };
  } catch (error) {
    return { offset: Number(offset), what: { key: name, value: text, reason: error instanceof Error ? error.message : String(error) } };
  }
};

const headerOf = (headers: IHeaders | undefined, name: string): string | undefined => {
  const value = headers?.[name];
  return (Array.isArray(value) ? value[0] : value)?.toString();
};
