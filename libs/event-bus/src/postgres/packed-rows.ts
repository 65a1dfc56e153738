import { decodeMessage, type EncodedMessage, lineOf } from '../encode-message.js';
import type { Received } from '../delivery/partition-delivery.js';
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

/** A row of the log. */
export interface LogRow {
  readonly topic_id: number;
  readonly partition: number;
  readonly end_offset: string;
  readonly n: number;
  readonly data: Buffer;
}

/**
 * Packs a batch: messages of one partition stay in their order and become lines of JSON in one row. One row in place of many is what makes
 * the log as cheap as a plain insert, and one buffer for all of them travels in the binary protocol where an array of buffers would travel
 * as hex.
 */
export const packRows = (messages: readonly EncodedMessage[], topics: ReadonlyMap<string, Topic>): PackedRows => {
  const rows = new Map<string, { topicId: number; partition: number; lines: string[] }>();
  for (const message of messages) {
    const { id, partitions } = knownTopic(topics, message.topic);
    const partition = partitionOf(message.key, partitions);
    const line = lineOf(message);
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

/**
 * The messages of one row from `fromOffset` on. A row that does not hold as many as it says was damaged or written by hand: nobody can tell
 * which offset is which line, so all of its offsets are faults, and the first carries the bytes.
 */
export const unpackRow = (topic: string, { end_offset, n, data }: LogRow, fromOffset: number): Received[] => {
  const first = Number(end_offset) - n;
  const lines = data.toString().split('\n');
  const isWhole = lines.length === n;
  const received: Received[] = [];
  for (let i = Math.max(0, fromOffset - first); i < n; i += 1) {
    received.push({ offset: first + i, what: isWhole ? decode(topic, lines[i] ?? '') : damaged(lines, n, i) });
  }
  return received;
};

const decode = (topic: string, line: string): Received['what'] => {
  try {
    return decodeMessage(topic, line);
  } catch (error) {
    return { key: null, value: line, reason: error instanceof Error ? error.message : String(error) };
  }
};

const damaged = (lines: readonly string[], n: number, i: number): Received['what'] => {
  const reason = `A row of the log holds ${lines.length} messages and says ${n}`;
  return { key: null, value: i === 0 ? lines.join('\n') : '', reason };
};

const knownTopic = (topics: ReadonlyMap<string, Topic>, name: string): Topic => {
  const topic = topics.get(name);
  if (!topic) throw new Error(`Topic ${name} is not there`);
  return topic;
};
