import { DomainError } from '@pca/errors';
import { RecordReader } from './record-reader.js';

export const delimiters = [',', ';', '\t', '|'] as const;
export type Delimiter = (typeof delimiters)[number];

const names: Readonly<Record<string, Delimiter>> = {
  ',': ',',
  comma: ',',
  ';': ';',
  semicolon: ';',
  '\t': '\t',
  '\\t': '\t',
  tab: '\t',
  '|': '|',
  pipe: '|',
};

/** @throws DomainError BAD_USER_INPUT when it is none of the four. */
export const parseDelimiter = (name: string): Delimiter => {
  const key = name.toLowerCase();
  const found = Object.hasOwn(names, key) ? names[key] : undefined;
  if (found === undefined)
    throw new DomainError('BAD_USER_INPUT', 'The delimiter must be comma, semicolon, tab or pipe', {
      option: '--delimiter',
      candidates: Object.keys(names),
    });
  return found;
};

/** Spreadsheets write `sep=;` as a line of its own before the header. */
export const splitOffSeparatorLine = (text: string): { delimiter: Delimiter; charsTaken: number } | undefined => {
  const match = /^"?sep=([,;\t|])"?(?:\r\n|\n|\r)/i.exec(text);
  return match ? { delimiter: match[1] as Delimiter, charsTaken: match[0].length } : undefined;
};

/** What is wrong with a record. */
export interface RecordFault {
  readonly line: number;
  readonly reason: string;
}

/** The complete records of a piece of text, its first fault, and whether that comes before every record. */
export const sampleRecords = (
  text: string,
  whole: boolean,
  delimiter: Delimiter,
  width?: number,
): { records: string[][]; fault: RecordFault | undefined; faultFirst: boolean } => {
  const records: string[][] = [];
  let fault: RecordFault | undefined;
  let faultFirst = false;
  const reader = new RecordReader(width === undefined ? { delimiter } : { delimiter, width }, {
    record: (_line, cells) => void records.push(cells),
    fault: (line, reason) => {
      if (records.length === 0) faultFirst = true;
      fault ??= { line, reason };
    },
  });
  reader.push(text);
  if (whole) reader.end();
  return { records, fault, faultFirst };
};

/**
 * The delimiter under which the header says most: the number of its columns that are known decides, then how many records are as wide as
 * it.
 * @param knownColumns How many cells of a header name something.
 * @throws DomainError IMPORT_UNREADABLE when none gives two columns, or two are equally good.
 */
export const detectDelimiter = (text: string, whole: boolean, knownColumns: (header: readonly string[]) => number): Delimiter => {
  const ranked = delimiters
    .map((delimiter) => ({ delimiter, records: sampleRecords(text, whole, delimiter).records }))
    .filter(({ records }) => (records[0]?.length ?? 0) > 1)
    .map(({ delimiter, records }) => {
      const header = records[0] ?? [];
      const even = records.filter((record) => record.length === header.length).length;
      return { delimiter, known: knownColumns(header), even: even / records.length };
    })
    .sort((a, b) => b.known - a.known || b.even - a.even);
  const [best, second] = ranked;
  if (!best || (second && second.known === best.known && second.even === best.even))
    throw new DomainError(
      'IMPORT_UNREADABLE',
      best
        ? 'The file can be read with more than one delimiter; name it with --delimiter'
        : 'No delimiter divides the first line into columns',
      { option: '--delimiter', candidates: best ? ranked.map(({ delimiter }) => delimiter) : delimiters },
    );
  return best.delimiter;
};
