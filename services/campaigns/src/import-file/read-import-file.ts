import { detectEncoding, textDecoding } from './dialect/file-encoding.js';
import { RecordReader } from './dialect/record-reader.js';
import { excerptOf } from './dialect/text.js';
import { type HeadReading, readHead } from './head-reading.js';
import { type ImportItem, importLimits, type ImportRow, type RejectedRow } from './import-item.js';
import type { ImportOptions } from './import-options.js';
import { type BuiltRow, RowBuilder } from './row-builder.js';

const { headBytes, pieceBytes, batchRowsMax } = importLimits;

/**
 * Reads an ads file as it streams in: `opened` first, then batches of rows and rejections in the order of the file. A faulty row is
 * rejected and never
 * stops the import. Memory is bounded whatever the file. What the source throws passes through; the source is closed when reading ends
 * early.
 * @throws DomainError BAD_USER_INPUT when an option does not fit the file; IMPORT_UNREADABLE when the file is no delimited text or can be
 * read in
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
      yield* batches.take(bytes);
    }
    if (!whole) {
      for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
        bytes += next.value.length;
        batches.push(decoding.write(next.value));
        yield* batches.take(bytes);
      }
      batches.push(decoding.end());
    }
    batches.end();
    yield* batches.take(bytes);
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

interface Batch {
  readonly rows: ImportRow[];
  readonly rejected: RejectedRow[];
}

/** Text in, batches out. A full batch is put aside and never touched again, so that what was handed out can be freed. */
class BatchCollector {
  private batch: Batch = { rows: [], rejected: [] };
  private ready: Batch[] = [];
  private headerSeen = false;
  private readonly reader: RecordReader;

  constructor(opened: HeadReading) {
    const { header } = opened.plan;
    const builder = new RowBuilder(opened);
    const dialect = { delimiter: opened.delimiter, width: header.length, firstLine: opened.charsTaken > 0 ? 2 : 1 };
    this.reader = new RecordReader(dialect, {
      record: (line, cells) => {
        if (this.headerSeen) this.add(builder.build(line, cells));
        this.headerSeen = true;
      },
      fault: (line, reason, excerpt, cell) =>
        this.add({ rejected: { line, column: header[cell] ?? null, value: excerptOf(excerpt), reason } }),
    });
  }

  push(text: string): void {
    this.reader.push(text);
  }

  end(): void {
    this.reader.end();
    if (this.batch.rows.length > 0 || this.batch.rejected.length > 0) this.ready.push(this.batch);
  }

  /** The batches that are full, and after the end the last one. */
  *take(bytesRead: number): Generator<ImportItem> {
    const { ready } = this;
    this.ready = [];
    for (const batch of ready) yield { kind: 'batch', ...batch, bytesRead };
  }

  private add(built: BuiltRow): void {
    if (built === undefined) return;
    const { rows, rejected } = this.batch;
    if ('row' in built) rows.push(built.row);
    else rejected.push(built.rejected);
    if (rows.length < batchRowsMax && rejected.length < batchRowsMax) return;
    this.ready.push(this.batch);
    this.batch = { rows: [], rejected: [] };
  }
}
