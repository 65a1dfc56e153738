import { DomainError } from '@pca/errors';
import { importLimits } from '../import-item.js';

/** What the reader makes of the text. Lines are physical and 1-based: the one where the record starts. */
export interface RecordSink {
  record(line: number, cells: string[]): void;
  /** `reason` completes the sentence "this record …"; `cell` is the index of the cell at fault. */
  fault(line: number, reason: string, excerpt: string, cell: number): void;
}

export interface RecordDialect {
  readonly delimiter: string;
  /** Cells of a record, where they are known: tells rows from prose behind a quote that is never closed. */
  readonly width?: number;
  /** Number of the first line of the text; 1 unless lines before it were taken away. */
  readonly firstLine?: number;
}

type Parsed =
  /** `stop` is where the line break stands, `end` what follows it. */
  | { readonly kind: 'record'; readonly cells: string[]; readonly stop: number; readonly end: number }
  /** No end in sight; inside a quoted cell, `resume` is where the search for its closing quote goes on. */
  | { readonly kind: 'open'; readonly cell: number; readonly resume?: number }
  | { readonly kind: 'bad quote'; readonly cell: number; readonly at: number };

const { rescannedCharsMax, columnsMax } = importLimits;
const excerptChars = 2 * (importLimits.excerptCharsMax + 1);

const unpaired = 'has a quote inside a quoted cell that is not doubled';
const unclosed = 'opens a quote that is never closed';
const unclosedToTheEnd = 'opens a quote that is never closed, so that nothing behind it could be read';

const quoteCode = 34;
const lfCode = 10;
const crCode = 13;
const spaceCode = 32;
const orInfinity = (position: number): number => (position === -1 ? Infinity : position);

/**
 * Delimited text (RFC 4180 with doubled quotes; LF, CRLF and CR, mixed as they come) cut into records as it streams in. Memory is bounded
 * by the
 * longest record allowed, and the outcome does not depend on where chunks end. Empty lines are passed over.
 *
 * A broken record costs as little as can be told for sure. After a bad quote, reading goes on at the next physical line. A record over the
 * limit
 * is dropped to its end, unless the lines behind an open quote look like rows: then the quote was never closed, and only its line is lost.
 */
export class RecordReader {
  private readonly delimiterCode: number;
  private readonly windowChars: number;
  private text = '';
  private line: number;
  private wakeAtLength = 0;
  private dropping: 'nothing' | 'line' | 'quoted cell' | 'rest of record' = 'nothing';
  private droppingFromLine = 0;
  private pushedChars = 0;
  private rescannedChars = 0;
  private nextLf = -1;
  private nextCr = -1;
  private nextQuote = -1;

  constructor(
    private readonly dialect: RecordDialect,
    private readonly sink: RecordSink,
    private readonly recordCharsMax: number = importLimits.recordCharsMax,
  ) {
    // A record of the greatest length and the longest line break behind it.
    this.windowChars = recordCharsMax + 2;
    this.delimiterCode = dialect.delimiter.charCodeAt(0);
    this.line = dialect.firstLine ?? 1;
  }

  /** @throws DomainError IMPORT_UNREADABLE when quotes are so broken that reading on would take too long. */
  push(text: string): void {
    this.pushedChars += text.length;
    this.text = this.text === '' ? text : this.text + text;
    // An unfinished record is looked at again only when there is twice as much of it: tiny chunks must not cost quadratic time.
    if (this.text.length >= this.wakeAtLength) this.scan(false);
  }

  /** Takes what is left as the last record. */
  end(): void {
    this.scan(true);
    if (this.dropping === 'quoted cell') this.sink.fault(this.droppingFromLine, unclosedToTheEnd, '', 0);
  }

  private scan(final: boolean): void {
    const text = this.text;
    let position = 0;
    this.nextLf = this.nextCr = this.nextQuote = -1;
    while (position < text.length) {
      const next = this.dropping === 'nothing' ? this.readRecord(text, position, final) : this.drop(text, position, final);
      if (next === -1) break;
      position = next;
    }
    this.text = position === 0 ? text : text.slice(position);
    this.wakeAtLength = Math.min(2 * this.text.length, this.windowChars);
  }

  /** Position behind the record, or -1 when more text is needed. */
  private readRecord(text: string, start: number, final: boolean): number {
    this.lookAhead(text, start);
    const end = Math.min(this.nextLf, this.nextCr);
    if (this.nextQuote < end) return this.readQuotedRecord(text, start, final);
    if (end === Infinity && text.length - start >= this.windowChars) return this.startDropping(text, start, 0);
    if (end === Infinity && !final) return -1;
    const stop = Math.min(end, text.length);
    const next = this.afterBreak(text, stop, final);
    if (next === -1) return -1;
    if (stop - start > this.recordCharsMax) this.reportLong(text, start, this.cellAtLimit(text, start));
    else if (stop > start)
      this.sink.record(this.line, text.slice(start, stop).split(this.dialect.delimiter, (this.dialect.width ?? columnsMax) + 1));
    this.line++;
    return next;
  }

  private readQuotedRecord(text: string, start: number, final: boolean): number {
    const parsed = this.parse(text, start, final);
    if (parsed.kind === 'bad quote') return this.giveUpLine(text, start, parsed.at, unpaired, parsed.cell, final);
    if (parsed.kind === 'open') {
      if (text.length - start >= this.windowChars) return this.startDropping(text, start, parsed.cell, parsed.resume);
      return final ? this.giveUpLine(text, start, text.length, unclosed, parsed.cell, final) : -1;
    }
    const lines = this.breaksIn(text, start, parsed.end);
    if (lines > 1 && parsed.cells.length !== this.dialect.width && this.looksLikeRows(text.slice(start, parsed.end)))
      return this.giveUpLine(text, start, parsed.end, unclosed, 0, final);
    if (parsed.stop - start > this.recordCharsMax) this.reportLong(text, start, parsed.cells.length - 1);
    else this.sink.record(this.line, parsed.cells);
    this.line += lines;
    return parsed.end;
  }

  /** One record with quotes, no further than the window reaches; the same whatever follows the window. */
  private parse(text: string, start: number, final: boolean): Parsed {
    const limit = Math.min(text.length, start + this.windowChars);
    const atEnd = final && text.length - start < this.windowChars;
    const cells: string[] = [];
    let at = start;
    for (;;) {
      let opening = at;
      while (opening < limit && text.charCodeAt(opening) === spaceCode) opening++;
      if (opening < limit && text.charCodeAt(opening) === quoteCode) {
        const cell = parseQuotedCell(text, opening + 1, limit, atEnd);
        if (cell.resume !== undefined) return { kind: 'open', cell: cells.length, resume: cell.resume };
        cells.push(cell.value);
        at = cell.after;
        while (at < limit && text.charCodeAt(at) === spaceCode) at++;
      } else {
        const from = at;
        at = this.unquotedEnd(text, opening, limit);
        cells.push(text.slice(from, at));
      }
      if (at >= limit) return atEnd ? { kind: 'record', cells, stop: limit, end: limit } : { kind: 'open', cell: cells.length - 1 };
      const code = text.charCodeAt(at);
      if (code === this.delimiterCode) at++;
      else if (code === lfCode) return { kind: 'record', cells, stop: at, end: at + 1 };
      else if (code !== crCode) return { kind: 'bad quote', cell: cells.length - 1, at };
      else if (at + 1 < limit || atEnd) return { kind: 'record', cells, stop: at, end: at + (text.charCodeAt(at + 1) === lfCode ? 2 : 1) };
      else return { kind: 'open', cell: cells.length - 1 };
    }
  }

  private unquotedEnd(text: string, from: number, limit: number): number {
    let at = from;
    for (; at < limit; at++) {
      const code = text.charCodeAt(at);
      if (code === this.delimiterCode || code === lfCode || code === crCode) break;
    }
    return at;
  }

  /** Loses the physical line at `start` alone and reads on behind it, though the text was seen up to `seen`. */
  private giveUpLine(text: string, start: number, seen: number, reason: string, cell: number, final: boolean): number {
    const stop = Math.min(this.nextLf, this.nextCr);
    if (stop === Infinity && !final && text.length - start < excerptChars) return -1;
    const next = this.afterBreak(text, Math.min(stop, text.length), final);
    if (next === -1) return -1;
    this.sink.fault(this.line, reason, text.slice(start, Math.min(stop, start + excerptChars)), cell);
    if (stop === Infinity) {
      this.dropping = 'line';
      return text.length;
    }
    this.line++;
    this.rescannedChars += Math.max(0, seen - next);
    if (this.rescannedChars > rescannedCharsMax + 4 * this.pushedChars)
      throw new DomainError(
        'IMPORT_UNREADABLE',
        'The quotes of this file do not pair up, line after line; quotes inside quoted cells must be doubled',
        {
          line: this.line - 1,
        },
      );
    return next;
  }

  /** The record at `start` fills the window: reports it and decides how much of it goes. */
  private startDropping(text: string, start: number, cell: number, resume?: number): number {
    const window = start + this.windowChars;
    if (resume !== undefined && this.looksLikeRows(text.slice(start, window)))
      return this.giveUpLine(text, start, window, unclosed, cell, false);
    this.reportLong(text, start, resume === undefined ? this.cellAtLimit(text, start) : cell);
    this.droppingFromLine = this.line;
    this.dropping = resume === undefined ? 'line' : 'quoted cell';
    let stop = resume ?? start + this.recordCharsMax;
    // A CRLF must not be cut in two, for it would count as two line breaks.
    if (resume !== undefined && text.charCodeAt(stop - 1) === crCode) stop--;
    this.line += this.breaksIn(text, start, stop);
    return stop;
  }

  /** Passes over the rest of a record that was reported already. */
  private drop(text: string, start: number, final: boolean): number {
    if (this.dropping === 'line') return this.dropLine(text, start, final);
    if (this.dropping === 'quoted cell') return this.dropQuotedCell(text, start, final);
    const parsed = this.parse(text, start, final);
    if (parsed.kind === 'record') {
      this.line += Math.max(1, this.breaksIn(text, start, parsed.end));
      this.dropping = 'nothing';
      return parsed.end;
    }
    if (parsed.kind === 'open' && !final && text.length - start < this.windowChars) return -1;
    this.dropping = 'line';
    return start;
  }

  private dropLine(text: string, start: number, final: boolean): number {
    this.lookAhead(text, start);
    const stop = Math.min(this.nextLf, this.nextCr);
    if (stop === Infinity) return text.length;
    const next = this.afterBreak(text, stop, final);
    if (next === -1) return stop === start ? -1 : stop;
    this.dropping = 'nothing';
    this.line++;
    return next;
  }

  private dropQuotedCell(text: string, start: number, final: boolean): number {
    let at = text.indexOf('"', start);
    while (at !== -1 && text.charCodeAt(at + 1) === quoteCode) at = text.indexOf('"', at + 2);
    const closes = at !== -1 && (final || at + 1 < text.length);
    let stop = at === -1 ? text.length : at;
    // A CR at the very end may be the first half of a CRLF, a quote the first of two.
    if (at === -1 && !final && text.charCodeAt(stop - 1) === crCode) stop--;
    this.line += this.breaksIn(text, start, stop);
    if (!closes) return stop === start ? -1 : stop;
    this.dropping = 'rest of record';
    return at + 1;
  }

  private lookAhead(text: string, from: number): void {
    if (this.nextLf < from) this.nextLf = orInfinity(text.indexOf('\n', from));
    if (this.nextCr < from) this.nextCr = orInfinity(text.indexOf('\r', from));
    if (this.nextQuote < from) this.nextQuote = orInfinity(text.indexOf('"', from));
  }

  /** Position behind the line break at `stop`; -1 when a CR ends the text and its LF may still come. */
  private afterBreak(text: string, stop: number, final: boolean): number {
    if (stop >= text.length) return text.length;
    if (text.charCodeAt(stop) === lfCode) return stop + 1;
    if (stop + 1 === text.length) return final ? text.length : -1;
    return text.charCodeAt(stop + 1) === lfCode ? stop + 2 : stop + 1;
  }

  private breaksIn(text: string, start: number, end: number): number {
    let breaks = 0;
    for (let at = start; at < end; at++) {
      const code = text.charCodeAt(at);
      if (code === lfCode) breaks++;
      else if (code === crCode && (at + 1 >= end || text.charCodeAt(at + 1) !== lfCode)) breaks++;
    }
    return breaks;
  }

  /** Whether the physical lines behind the first one have the width of a row, more often than not. */
  private looksLikeRows(record: string): boolean {
    const lines = record.split(/\r\n|\n|\r/, 22).slice(1, -1);
    const rows = lines.filter((line) => line.split(this.dialect.delimiter).length === this.dialect.width);
    return rows.length > 0 && 2 * rows.length >= lines.length;
  }

  private reportLong(text: string, start: number, cell: number): void {
    this.sink.fault(
      this.line,
      `is longer than ${this.recordCharsMax} characters`,
      text.slice(start, start + Math.min(excerptChars, this.recordCharsMax)),
      cell,
    );
  }

  private cellAtLimit(text: string, start: number): number {
    return text.slice(start, start + this.recordCharsMax).split(this.dialect.delimiter).length - 1;
  }
}

type QuotedCell = { readonly value: string; readonly after: number; readonly resume?: undefined } | { readonly resume: number };

/** From behind the opening quote to behind the closing one, or where to resume when it is still open at the limit. */
const parseQuotedCell = (text: string, start: number, limit: number, atEnd: boolean): QuotedCell => {
  let value = '';
  let from = start;
  for (;;) {
    const at = text.indexOf('"', from);
    if (at === -1 || at >= limit) return { resume: limit };
    if (at + 1 >= limit && !atEnd) return { resume: at };
    if (at + 1 >= limit || text.charCodeAt(at + 1) !== quoteCode) return { value: value + text.slice(from, at), after: at + 1 };
    value += text.slice(from, at + 1);
    from = at + 2;
  }
};
