import { isDomainError } from '@pca/errors';
import { seededRandom, type SeededRandom } from '@pca/testing';
import iconv from 'iconv-lite';
import { expect, it } from 'vitest';
import type { ImportRow } from './import-item.js';
import { type ImportOptionTexts, parseImportOptions } from './import-options.js';
import { readImportFile } from './read-import-file.js';

/** What a file says, before it is written down in one of many ways. */
interface Truth {
  date: Date;
  id: string;
  name: string;
  age: string;
  city: string;
  impressions: number;
  clicks: number;
  spendMicros: bigint;
  conversionsMicros: bigint;
}

interface Manner {
  encoding: string;
  mark: boolean;
  delimiter: string;
  lineBreak: string;
  quoting: 'all' | 'some' | 'needed';
  decimal: '.' | ',';
  thousands: string;
  /** Decimals that are always written; -1: as few as possible. */
  decimals: number;
  sign: string;
  dateFormat: string;
  dateGap: string;
  /** Order of the columns. */
  columns: (keyof typeof headers)[];
}

const headers = {
  date: ['Date', 'day', 'Report date'],
  id: ['campaign_id', 'Campaign ID', 'campaignId'],
  name: ['Campaign', 'campaign name'],
  age: ['age', 'Age'],
  city: ['City'],
  impressions: ['Impressions', 'impr.'],
  clicks: ['clicks', 'Link clicks'],
  spend: ['Spent', 'cost', 'Amount spent'],
  conversions: ['conversions', 'Conv.'],
  note: ['Anything else'],
};

const two = (value: number): string => String(value).padStart(2, '0');

const randomTruth = (random: SeededRandom, wide: boolean): Truth => {
  const alphabet = wide
    ? ['a', 'B', ' ', ',', ';', '"', '|', 'é', '夏', '😀', 'م', "'", '\\', '=']
    : ['a', 'B', ' ', ',', ';', '"', '|', 'é', 'ß', "'"];
  // Accents stand between plain letters, as they do in words; only so can windows-1252 be told from other encodings.
  const text = (length: number): string => `x${Array.from({ length }, () => random.pick(alphabet)).join(wide ? '' : 'o')}x`;
  const micros = (): bigint => {
    const size = BigInt(10 ** random.int(12));
    const value = (BigInt(Math.floor(random.next() * 1e6)) * size) / 1_000n;
    return value - (random.int(2) === 0 ? value % 10_000n : 0n);
  };
  return {
    date: new Date(Date.UTC(2010 + random.int(20), random.int(12), 1 + random.int(28))),
    id: random.int(6) === 0 ? '' : String(random.int(1e9)),
    name: text(random.int(8)),
    age: random.pick(['', '18-24', '65+']),
    city: random.int(3) === 0 ? '' : text(random.int(4)),
    impressions: Math.floor(random.next() ** 4 * 1e8),
    clicks: Math.floor(random.next() ** 4 * 1e5),
    spendMicros: micros(),
    conversionsMicros: micros() / 1_000n,
  };
};

const randomManner = (random: SeededRandom): Manner => {
  const decimal = random.pick(['.', ','] as const);
  const dateFormat = random.pick(['YYYY-MM-DD', 'DD-MM-YYYY', 'MM-DD-YYYY', 'YYYYMMDD', 'DD-MM-YY', 'DD-MMM-YYYY', 'MMM-DD-YYYY']);
  const columns = (Object.keys(headers) as (keyof typeof headers)[]).filter((column) => column !== 'note' || random.int(2) === 0);
  return {
    encoding: random.pick(['utf-8', 'utf-8', 'utf-16le', 'utf-16be', 'windows-1252']),
    mark: random.int(2) === 0,
    delimiter: random.pick([',', ';', '\t', '|']),
    lineBreak: random.pick(['\n', '\r\n', '\r']),
    quoting: random.pick(['all', 'some', 'needed']),
    decimal,
    thousands: random.pick(['', '', decimal === '.' ? ',' : '.', "'", ' ', '\u00a0']),
    decimals: random.pick([-1, -1, 2, 6]),
    sign: random.pick(['', '', '$', '€ ']),
    dateFormat,
    dateGap: random.pick(['-', '/', ...(dateFormat === 'MM-DD-YYYY' ? [] : ['.'])]),
    columns: columns
      .map((column) => ({ column, order: random.next() }))
      .sort((a, b) => a.order - b.order)
      .map(({ column }) => column),
  };
};

const writtenDate = (date: Date, { dateFormat, dateGap }: Manner): string => {
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
  const name = date.toLocaleString('en', { month: 'short', timeZone: 'UTC' });
  const parts: Record<string, string> = { YYYY: String(year), YY: two(year % 100), MM: two(month), DD: two(day), MMM: name };
  return dateFormat === 'YYYYMMDD'
    ? `${year}${two(month)}${two(day)}`
    : dateFormat
        .split('-')
        .map((part) => parts[part])
        .join(dateGap);
};

const writtenNumber = (micros: bigint, manner: Manner, decimals: number): string => {
  const whole = String(micros / 1_000_000n).replace(/\B(?=(\d{3})+$)/g, manner.thousands);
  const fraction = String(micros % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '')
    .padEnd(Math.max(0, decimals), '0');
  return fraction === '' ? whole : `${whole}${manner.decimal}${fraction}`;
};

const writtenRow = (truth: Truth, manner: Manner, random: SeededRandom): string[] => {
  const cells: Record<keyof typeof headers, string> = {
    date: writtenDate(truth.date, manner),
    id: truth.id,
    name: truth.name,
    age: truth.age,
    city: truth.city,
    impressions: writtenNumber(BigInt(truth.impressions) * 1_000_000n, manner, -1),
    clicks: writtenNumber(BigInt(truth.clicks) * 1_000_000n, manner, -1),
    spend: manner.sign + writtenNumber(truth.spendMicros, manner, manner.decimals),
    conversions: writtenNumber(truth.conversionsMicros, manner, manner.decimals),
    note: random.pick(['', 'plain', 'two\nlines', 'say "hi"', '\r\n\r\n']),
  };
  return manner.columns.map((column) => cells[column]);
};

const written = (table: string[][], manner: Manner, random: SeededRandom): Buffer => {
  const quoted = (cell: string): boolean =>
    manner.quoting === 'all' ||
    (manner.quoting === 'some' && random.int(2) === 0) ||
    /["\r\n]|^ /.test(cell) ||
    cell.includes(manner.delimiter);
  const lines = table.map((row) => row.map((cell) => (quoted(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(manner.delimiter));
  const text = lines.join(manner.lineBreak) + (random.int(2) === 0 ? manner.lineBreak : '');
  return iconv.encode(text, manner.encoding, { addBOM: manner.mark && manner.encoding.startsWith('utf') });
};

const randomChunks = async function* (bytes: Buffer, random: SeededRandom): AsyncGenerator<Buffer> {
  const chunkMax = random.pick([1, 2, 7, 1_000, 100_000]);
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random.int(chunkMax);
    yield await Promise.resolve(bytes.subarray(at, at + size));
    at += size;
  }
};

/** The truth as a row, computed without anything that the import uses. */
const expected = ({ date, id, name, age, city, impressions, clicks, spendMicros, conversionsMicros }: Truth): Partial<ImportRow> => {
  const slice = Object.entries({ age, city }).filter(([, value]) => value !== '');
  return {
    date: date.toISOString().slice(0, 10),
    campaignId: id === '' ? undefined : id,
    campaignName: name.trim(),
    breakdownKey: slice.length === 0 ? '' : JSON.stringify(slice),
    breakdown: Object.fromEntries(slice),
    impressions,
    clicks,
    spendMicros: Number(spendMicros),
    conversionsMicros: Number(conversionsMicros),
    conversionValueMicros: 0,
  };
};

/** Reads the file and, when it asks for an option, gives the true answer, which must be one that it offered. */
const readAsking = async (bytes: Buffer, manner: Manner, random: SeededRandom): Promise<{ rows: ImportRow[]; asked: string[] }> => {
  const options: Partial<Record<keyof ImportOptionTexts, string>> = {};
  for (const asked: string[] = []; ;) {
    try {
      const rows: ImportRow[] = [];
      for await (const item of readImportFile(randomChunks(bytes, random), parseImportOptions(options))) {
        if (item.kind !== 'batch') continue;
        rows.push(...item.rows);
        expect(item.rejected).toEqual([]);
      }
      return { rows, asked };
    } catch (error) {
      if (!isDomainError(error)) throw error;
      const { option, candidates } = error.details as { option?: string; candidates?: string[] };
      const answers: Record<string, [keyof ImportOptionTexts, string]> = {
        '--date-format': ['dateFormat', manner.dateFormat],
        '--decimal': ['decimal', manner.decimal],
      };
      const [name, answer] = answers[option ?? ''] ?? [];
      if (name === undefined || answer === undefined || options[name] !== undefined) throw error;
      expect(candidates).toContain(answer);
      options[name] = answer;
      asked.push(option ?? '');
    }
  }
};

it('reads what was written, in whatever dialect, encoding and pieces, or asks: it never misreads', async () => {
  const random = seededRandom('round trip');
  const outcomes = { alone: 0, asked: 0 };
  for (let n = 0; n < 500; n++) {
    const manner = randomManner(random);
    const truths = Array.from({ length: 1 + random.int(random.pick([2, 30])) }, () =>
      randomTruth(random, manner.encoding !== 'windows-1252'),
    );
    const header = manner.columns.map((column) => random.pick(headers[column]));
    const bytes = written([header, ...truths.map((truth) => writtenRow(truth, manner, random))], manner, random);
    try {
      const { rows, asked } = await readAsking(bytes, manner, random);
      expect(rows).toHaveLength(truths.length);
      for (const [index, truth] of truths.entries()) expect(rows[index]).toMatchObject(expected(truth));
      outcomes[asked.length === 0 ? 'alone' : 'asked']++;
    } catch (error) {
      console.error(`seed ${random.seed}, file ${n}`, manner, JSON.stringify(iconv.decode(bytes, manner.encoding).slice(0, 2_000)));
      throw error;
    }
  }
  expect(outcomes.alone).toBeGreaterThan(250);
  expect(outcomes.asked).toBeGreaterThan(20);
});
