import { detectEncoding, textDecoding } from './dialect/file-encoding.js';
import { RecordReader } from './dialect/record-reader.js';
import { excerptOf } from './dialect/text.js';
import { type HeadReading, readHead } from './head-reading.js';
import { type ImportItem, importLimits, type ImportRow, type RejectedRow } from './import-item.js';
import type { ImportOptions } from './import-options.js';
import { RowBuilder } from './row-builder.js';

const { headBytes, pieceBytes, batchRowsMax } = importLimits;

/**
 * Reads an ads file as it streams in: `opened` first, then batches of rows and rejections in the order of the file. A faulty row is rejected and never
 * stops the import. Memory is bounded whatever the file. What the source throws passes through; the source is closed when reading ends early.
 * @throws DomainError BAD_USER_INPUT when an option does not fit the file; IMPORT_UNREADABLE when the file is no delimited text or can be read in
 * more than one way: the details name the option that decides, with candidates.
 */
export async function* readImportFile(
  source: AsyncIterable<Buffer>,
  options: ImportOptions = {},
): AsyncGenerator<ImportItem, void, undefined> {
  const pieces = piecesOf(source);
  try {
    const head = await takeHead(pieces, options);
    const { decoding, whole } = head;
    let { bytes } = head;
    const opened = readHead({ ...head, text: head.texts.join('') }, options);
    yield { kind: 'opened', reading: opened.reading };

    const batches = new BatchCollector(opened);
    let charsToSkip = opened.charsTaken;
    for (const text of head.texts) {
      batches.push(text.slice(charsToSkip));
      charsToSkip = Math.max(0, charsToSkip - text.length);
      yield* batches.full(bytes);
    }
    if (!whole) {
      for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
        bytes += next.value.length;
        batches.push(decoding.write(next.value));
        yield* batches.full(bytes);
      }
      batches.push(decoding.end());
    }
    batches.end();
    yield* batches.full(bytes);
    yield* batches.rest(bytes);
  } finally {
    await pieces.return();
  }
}

/** Reads until there is enough to settle everything, or to the end. */
const takeHead = async (pieces: AsyncIterator<Buffer>, options: ImportOptions) => {
  const head: Buffer[] = [];
  let bytes = 0;
  let whole = true;
  while (bytes < headBytes) {
    const next = await pieces.next();
    if (next.done) break;
    head.push(next.value);
    bytes += next.value.length;
    whole = bytes < headBytes;
  }
  const { encoding, assumed } = detectEncoding(Buffer.concat(head), whole, options.encoding);
  const decoding = textDecoding(encoding);
  const texts = head.map((piece) => decoding.write(piece));
  if (whole) texts.push(decoding.end());
  return { texts, bytes, whole, encoding, encodingAssumed: assumed, decoding };
};

/** The same bytes in pieces of bounded size. */
async function* piecesOf(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) for (let at = 0; at < chunk.length; at += pieceBytes) yield chunk.subarray(at, at + pieceBytes);
}

/** Text in, batches out. */
class BatchCollector {
  private rows: ImportRow[] = [];
  private rejected: RejectedRow[] = [];
  private headerSeen = false;
  private readonly reader: RecordReader;

  constructor(opened: HeadReading) {
    const { header } = opened.plan;
    const builder = new RowBuilder(opened);
    const dialect = { delimiter: opened.delimiter, width: header.length, firstLine: opened.charsTaken > 0 ? 2 : 1 };
    this.reader = new RecordReader(dialect, {
      record: (line, cells) => {
        if (!this.headerSeen) {
          this.headerSeen = true;
          return;
        }
        const built = builder.build(line, cells);
        if (built === undefined) return;
        if ('row' in built) this.rows.push(built.row);
        else this.rejected.push(built.rejected);
      },
      fault: (line, reason, excerpt, cell) => this.rejected.push({ line, column: header[cell] ?? null, value: excerptOf(excerpt), reason }),
    });
  }

  push(text: string): void {
    this.reader.push(text);
  }

  end(): void {
    this.reader.end();
  }

  /** Batches that have reached their size; a piece of the file may fill several. */
  *full(bytesRead: number): Generator<ImportItem> {
    while (this.rows.length >= batchRowsMax || this.rejected.length >= batchRowsMax) yield this.take(bytesRead);
  }

  *rest(bytesRead: number): Generator<ImportItem> {
    if (this.rows.length > 0 || this.rejected.length > 0) yield this.take(bytesRead);
  }

  private take(bytesRead: number): ImportItem {
    return { kind: 'batch', rows: this.rows.splice(0, batchRowsMax), rejected: this.rejected.splice(0, batchRowsMax), bytesRead };
  }
}
