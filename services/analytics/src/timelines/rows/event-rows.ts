import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** A row of `event`. */
export interface EventRow {
  /** Milliseconds since 1970, as is `receivedAt`. */
  readonly at: number;
  readonly receivedAt: number;
  readonly workspace: number;
  readonly person: number;
  readonly session: number;
  readonly name: number;
  readonly page: number;
  readonly resource: number;
  readonly context: number;
  readonly shape: number;
  readonly isBot: boolean;
  readonly message: Buffer;
  readonly properties: string;
}

const numbers = ['workspace', 'person', 'session', 'page', 'resource', 'context'] as const;
const smallNumbers = ['name', 'shape'] as const;
const columns = `at, received_at, ${[...numbers, ...smallNumbers].join(', ')}, is_bot, message, properties`;

/** Writes rows by COPY, in the client's transaction. */
export const copyRows = async (client: PoolClient, rows: readonly EventRow[]): Promise<void> => {
  const stream = client.query(copyFrom(`copy event (${columns}) from stdin (format binary)`));
  await new Promise<void>((resolve, reject) => {
    // A connection that breaks may say so twice, and an error that nobody hears ends the process.
    stream.once('finish', resolve).on('error', reject);
    stream.end(encodeRows(rows));
  });
};

const signature = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const columnCount = 13;
const fixedBytes = 2 + columnCount * 4 + 2 * 8 + numbers.length * 4 + smallNumbers.length * 2 + 1;

/** In the binary format of COPY (https://www.postgresql.org/docs/current/sql-copy.html). */
export const encodeRows = (rows: readonly EventRow[]): Buffer => {
  const size = rows.reduce((sum, { message, properties }) => sum + fixedBytes + message.length + Buffer.byteLength(properties), 0);
  const buffer = Buffer.allocUnsafe(signature.length + size + 2);
  let place = signature.copy(buffer);
  for (const row of rows) {
    place = buffer.writeInt16BE(columnCount, place);
    place = writeTime(buffer, row.at, place);
    place = writeTime(buffer, row.receivedAt, place);
    for (const name of numbers) {
      place = buffer.writeInt32BE(4, place);
      place = buffer.writeInt32BE(row[name], place);
    }
    for (const name of smallNumbers) {
      place = buffer.writeInt32BE(2, place);
      place = buffer.writeInt16BE(row[name], place);
    }
    place = buffer.writeInt32BE(1, place);
    place = buffer.writeUInt8(row.isBot ? 1 : 0, place);
    place = buffer.writeInt32BE(row.message.length, place);
    place += row.message.copy(buffer, place);
    const bytes = buffer.write(row.properties, place + 4);
    buffer.writeInt32BE(bytes, place);
    place += 4 + bytes;
  }
  buffer.writeInt16BE(-1, place);
  return buffer;
};

const postgresEpochMs = Date.UTC(2000, 0, 1);
const twoTo32 = 2 ** 32;

/** Microseconds since 2000 in two halves: a BigInt for each would be a fifth of encoding the row. Exact for some 285 years. */
const writeTime = (buffer: Buffer, ms: number, place: number): number => {
  const micros = (ms - postgresEpochMs) * 1_000;
  buffer.writeInt32BE(8, place);
  buffer.writeInt32BE(Math.floor(micros / twoTo32), place + 4);
  return buffer.writeUInt32BE(micros - Math.floor(micros / twoTo32) * twoTo32, place + 8);
};
