/** What a column may mean. `campaign` is the campaign's name; a file names a campaign by id, by name or by both. */
export const importFields = [
  'date',
  'campaignId',
  'campaign',
  'platform',
  'currency',
  'objective',
  'vertical',
  'status',
  'dailyBudget',
  'account',
  'impressions',
  'clicks',
  'spend',
  'conversions',
  'conversionValue',
] as const;

export type ImportField = (typeof importFields)[number];

/** Every bound of an import. Whatever the file holds, memory stays within a small multiple of headBytes and recordCharsMax. */
export const importLimits = {
  /** How much of the file is looked at before its encoding, delimiter, decimal mark and date format are settled. */
  headBytes: 1_048_576,
  /** Bytes are decoded and cut into records in pieces of this size, however large the chunks of the source are. */
  pieceBytes: 65_536,
  /** One record, quotes and delimiters included, in UTF-16 code units. */
  recordCharsMax: 262_144,
  columnsMax: 512,
  nameCharsMax: 256,
  textCharsMax: 512,
  numberCharsMax: 64,
  batchRowsMax: 1_000,
  /** How much of a faulty cell is shown, in code points. */
  excerptCharsMax: 80,
  /** Money and conversions, in micros: below Number.MAX_SAFE_INTEGER, so that a number holds them exactly. */
  microsMax: 9_000_000_000_000_000,
  countMax: 1_000_000_000_000,
  /** How much text may be read a second time because quotes do not pair up, beside four times the text read so far. */
  rescannedCharsMax: 16_777_216,
} as const;

/**
 * One day of one campaign, or of one slice of it. A metric whose column or cell is absent is 0.
 * Money is in micros of the row's currency, conversions in millionths, both rounded half up; all numbers are safe integers.
 */
export interface ImportRow {
  /** 1-based physical line where the record starts. */
  readonly line: number;
  /** A real calendar day, YYYY-MM-DD. */
  readonly date: string;
  /** At least one of campaignId and campaignName is there. */
  readonly campaignId: string | undefined;
  readonly campaignName: string | undefined;
  readonly platform: string | undefined;
  /** Three upper-case letters. */
  readonly currency: string | undefined;
  readonly account: string | undefined;
  readonly objective: string | undefined;
  readonly vertical: string | undefined;
  readonly status: string | undefined;
  readonly dailyBudgetMicros: number | undefined;
  /** Which slice of the day this row is: equal for equal slices, different for different ones; '' when the row is the whole day. */
  readonly breakdownKey: string;
  /** The slice as dimension → value, with the labels (an ad's name beside its id) that are no part of the key. */
  readonly breakdown: Readonly<Record<string, string>>;
  readonly impressions: number;
  readonly clicks: number;
  readonly spendMicros: number;
  readonly conversionsMicros: number;
  readonly conversionValueMicros: number;
}

/** A record that was not taken, and why. */
export interface RejectedRow {
  /** 1-based physical line where the record starts. */
  readonly line: number;
  /** The column as its header names it; null when the whole record is at fault. */
  readonly column: string | null;
  /** What stood there, shortened, with invisible characters written as \u{…}. */
  readonly value: string;
  readonly reason: string;
}

/** Something that a person should know about how the file was read. */
export interface ImportNotice {
  readonly code: 'COLUMNS_IGNORED' | 'ENCODING_ASSUMED' | 'CURRENCY_FROM_HEADER';
  readonly message: string;
}

/** How the file is read: what was detected or asked for. */
export interface ImportReading {
  readonly format: string;
  readonly encoding: string;
  readonly delimiter: string;
  /** Absent when no number of the head shows it; then each number must be clear by itself. */
  readonly decimal: '.' | ',' | undefined;
  /** Absent only when the file has no rows with a date. */
  readonly dateFormat: string | undefined;
  /** Field → the column it is read from. */
  readonly columns: Readonly<Partial<Record<ImportField, string>>>;
  /** Columns that slice a day. */
  readonly breakdown: readonly string[];
  readonly ignored: readonly string[];
  readonly notices: readonly ImportNotice[];
}

/**
 * What reading a file yields: `opened` once and first, then batches of at most 1,000 rows and 1,000 rejections each.
 * bytesRead counts the file's bytes up to and including the batch.
 */
export type ImportItem =
  | { readonly kind: 'opened'; readonly reading: ImportReading }
  | { readonly kind: 'batch'; readonly rows: readonly ImportRow[]; readonly rejected: readonly RejectedRow[]; readonly bytesRead: number };
