import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { bulkTopics } from '@pca/contracts';
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

/** What a compressed row begins with, as no line of JSON does; the size of its lines follows in four bytes, then the zstd frame. */
const compressedMark = 0;
const headBytes = 5;
/** Smaller rows are not worth it. */
const compressedBytesLeast = 4_096;
/** Several times what an append may have: whoever writes a row must not choose how much memory its readers need. */
const lineBytesMax = 64 * 1024 * 1024;
/** With a checksum: a bit that falls over would else be read as something that nobody sent. */
const fast = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } };

/** A twelfth of the bytes for 0.1 ms of CPU: a fifth of what sending, storing and reading them as they are costs both sides. */
const compressed = (lines: Buffer): Buffer => {
  if (lines.length < compressedBytesLeast) return lines;
  const head = Buffer.alloc(headBytes, compressedMark);
  head.writeUInt32BE(lines.length, 1);
  return Buffer.concat([head, zstdCompressSync(lines, fast)]);
};

const isCompressed = (data: Buffer): boolean => data[0] === compressedMark && data.length > headBytes;

/** Bytes of the lines that a row holds. */
export const lineBytesOf = (data: Buffer): number => (isCompressed(data) ? data.readUInt32BE(1) : data.length);

/** Throws when a compressed row is damaged. */
const linesOf = (data: Buffer): string => {
  if (!isCompressed(data)) return data.toString();
  const maxOutputLength = lineBytesOf(data);
  if (maxOutputLength > lineBytesMax) throw new Error(`it says that it holds ${maxOutputLength} bytes, of ${lineBytesMax} at most`);
  return zstdDecompressSync(data.subarray(headBytes), { maxOutputLength }).toString();
};

/**
 * Packs a batch: messages of one partition stay in their order and become lines of JSON in one row. One row in place of many is what makes
 * the log as cheap as a plain insert, and one buffer for all of them travels in the binary protocol where an array of buffers would travel
 * as hex. Of bulk topics the lines of a row are compressed.
 */
export const packRows = (messages: readonly EncodedMessage[], topics: ReadonlyMap<string, Topic>): PackedRows => {
  const rows = new Map<string, { topicId: number; partition: number; isBulk: boolean; lines: string[] }>();
  for (const message of messages) {
    const { id, partitions } = knownTopic(topics, message.topic);
    const partition = partitionOf(message.key, partitions);
    const line = lineOf(message);
    const row = rows.get(`${id}/${partition}`);
    if (row) row.lines.push(line);
    else rows.set(`${id}/${partition}`, { topicId: id, partition, isBulk: bulkTopics.has(message.topic), lines: [line] });
  }
  const packed = [...rows.values()];
  const parts = packed.map(({ lines, isBulk }) => {
    const bytes = Buffer.from(lines.join('\n'));
    return isBulk ? compressed(bytes) : bytes;
  });
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
  const { lines, reason } = readLines(data, n);
  const received: Received[] = [];
  for (let i = Math.max(0, fromOffset - first); i < n; i += 1) {
    const fault = () => ({ key: null, value: i === 0 ? lines.join('\n') : '', reason });
    received.push({ offset: first + i, what: reason === '' ? decode(topic, lines[i] ?? '') : fault() });
  }
  return received;
};

/** The lines of a row, and what is wrong with them; those of a compressed row that is damaged are its bytes in base64. */
const readLines = (data: Buffer, n: number): { readonly lines: readonly string[]; readonly reason: string } => {
  try {
    const lines = linesOf(data).split('\n');
    return { lines, reason: lines.length === n ? '' : `A row of the log holds ${lines.length} messages and says ${n}` };
  } catch (error) {
    return {
      lines: [data.toString('base64')],
      reason: `A compressed row of the log is damaged, here it is in base64: ${(error as Error).message}`,
    };
  }
};

const decode = (topic: string, line: string): Received['what'] => {
  try {
    return decodeMessage(topic, line);
  } catch (error) {
    return { key: null, value: line, reason: error instanceof Error ? error.message : String(error) };
  }
};

const knownTopic = (topics: ReadonlyMap<string, Topic>, name: string): Topic => {
  const topic = topics.get(name);
  if (!topic) throw new Error(`Topic ${name} is not there`);
  return topic;
};
