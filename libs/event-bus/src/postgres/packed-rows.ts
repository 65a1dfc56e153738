import type { BusMessage } from '@pca/contracts';
import { decodeMessage, type EncodedMessage } from '../encode-message.js';
import { partitionOf } from '../partition-of.js';

export interface Topic {
  readonly id: number;
  readonly partitions: number;
}

/** One row of the log for each partition that a batch touches, as parallel columns; `data` is the rows' bytes one after the other. */
export interface PackedRows {
  readonly topicIds: readonly number[];
  readonly partitions: readonly number[];
  readonly counts: readonly number[];
  readonly sizes: readonly number[];
  readonly data: Buffer;
}

/**
 * Packs a batch: messages of one partition stay in their order and become lines of JSON in one row. One row in place of many is what makes
 * the log as cheap as a plain insert, and one buffer for all of them travels in the binary protocol where an array of buffers would travel
 * as hex.
 */
export const packRows = (messages: readonly EncodedMessage[], topics: ReadonlyMap<string, Topic>): PackedRows => {
  const rows = new Map<string, { topicId: number; partition: number; lines: string[] }>();
  for (const { topic, key, line } of messages) {
    const { id, partitions } = knownTopic(topics, topic);
    const partition = partitionOf(key, partitions);
    const row = rows.get(`${id}/${partition}`);
    if (row) row.lines.push(line);
    else rows.set(`${id}/${partition}`, { topicId: id, partition, lines: [line] });
  }
  const packed = [...rows.values()];
  const parts = packed.map(({ lines }) => Buffer.from(lines.join('\n')));
  return {
    topicIds: packed.map(({ topicId }) => topicId),
    partitions: packed.map(({ partition }) => partition),
    counts: packed.map(({ lines }) => lines.length),
    sizes: parts.map(({ length }) => length),
    data: Buffer.concat(parts),
  };
};

/** The messages of one row. Throws when the row does not hold as many as it says, since offsets would be wrong from there on. */
export const unpackRow = (topic: string, count: number, data: Buffer): BusMessage[] => {
  const lines = data.toString().split('\n');
  if (lines.length !== count) throw new Error(`A row of ${topic} holds ${lines.length} messages and says ${count}`);
  return lines.map((line) => decodeMessage(topic, line));
};

const knownTopic = (topics: ReadonlyMap<string, Topic>, name: string): Topic => {
  const topic = topics.get(name);
  if (!topic) throw new Error(`Topic ${name} is not there`);
  return topic;
};
