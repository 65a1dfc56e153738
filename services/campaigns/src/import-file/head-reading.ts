import { DomainError } from '@pca/errors';
import { type ColumnPlan, countKnownColumns, planColumns } from './column-plan.js';
import { type DateFormat, detectDateFormat } from './dialect/date-format.js';
import { type Delimiter, detectDelimiter, type RecordFault, sampleRecords, splitOffSeparatorLine } from './dialect/delimiter.js';
import { type DecimalMark, detectDecimalMark, type NumberSample } from './dialect/number-format.js';
import { cellAt } from './dialect/text.js';
import { importFormatOf } from './import-format.js';
import { type ImportField, importLimits, type ImportNotice, type ImportReading } from './import-item.js';
import type { ImportOptions } from './import-options.js';

/** The beginning of a file as text. */
export interface FileHead {
  readonly text: string;
  /** The head is the whole file. */
  readonly whole: boolean;
  readonly encoding: string;
  /** The encoding is a guess. */
  readonly encodingAssumed: boolean;
}

/** Everything that must be settled before the first row is read. */
export interface HeadReading {
  readonly reading: ImportReading;
  readonly plan: ColumnPlan;
  readonly delimiter: Delimiter;
  readonly decimal: DecimalMark | undefined;
  readonly dateFormat: DateFormat | undefined;
  readonly platform: string | undefined;
  readonly currency: string | undefined;
  /** Characters before the header that are no data. */
  readonly charsTaken: number;
}

const kinds: Readonly<Partial<Record<ImportField, NumberSample['kind']>>> = {
  spend: 'money',
  conversionValue: 'money',
  dailyBudget: 'money',
  conversions: 'amount',
  impressions: 'count',
  clicks: 'count',
};

/** @throws DomainError BAD_USER_INPUT or IMPORT_UNREADABLE, with the option that resolves it in the details. */
export const readHead = (head: FileHead, options: ImportOptions): HeadReading => {
  const format = importFormatOf(options.format ?? 'generic');
  const separator = splitOffSeparatorLine(head.text);
  const charsTaken = separator?.charsTaken ?? 0;
  const text = head.text.slice(charsTaken);
  if (text.trim() === '')
    throw new DomainError('IMPORT_UNREADABLE', head.whole ? 'The file is empty' : 'The file begins with nothing but blanks');
  const beginning = text.slice(0, importLimits.recordCharsMax + 2);
  const delimiter =
    options.delimiter ??
    separator?.delimiter ??
    detectDelimiter(beginning, head.whole && beginning.length === text.length, (header) => countKnownColumns(header, format, options));
  const header = readHeader(beginning, head.whole && beginning.length === text.length, delimiter);
  const plan = planColumns(header, format, options);
  const { records: all, fault } = sampleRecords(text, head.whole, delimiter, header.length);
  const records = all.slice(1).filter((record) => record.length === header.length);
  const decimal = options.decimal ?? detectDecimalMark(numberSamples(records, plan));
  const dateFormat = options.dateFormat ?? dateFormatOf(records, plan, head.whole, fault);
  const { currency, notices } = settle(head, plan, options);
  const reading = describe(plan, { format: format.name, encoding: head.encoding, delimiter, decimal, dateFormat, notices });
  return { reading, plan, delimiter, decimal, dateFormat, platform: options.platform, currency, charsTaken };
};

const readHeader = (text: string, whole: boolean, delimiter: Delimiter): string[] => {
  const { records, fault, faultFirst } = sampleRecords(text, whole, delimiter);
  const [header] = records;
  if (faultFirst || !header)
    throw new DomainError(
      'IMPORT_UNREADABLE',
      `The header of the file cannot be read: it ${fault?.reason ?? 'is longer than a record may be'}`,
    );
  return header;
};

const numberSamples = function* (records: readonly (readonly string[])[], plan: ColumnPlan): Generator<NumberSample> {
  for (const [field, kind] of Object.entries(kinds) as [ImportField, NumberSample['kind']][]) {
    const index = plan.fields[field];
    if (index === undefined) continue;
    for (const cell of new Set(records.map((record) => cellAt(record, index)))) yield { cell, kind };
  }
};

/** undefined when the file is over and has no row with a date. */
const dateFormatOf = (
  records: readonly (readonly string[])[],
  plan: ColumnPlan,
  whole: boolean,
  fault: RecordFault | undefined,
): DateFormat | undefined => {
  const cells = new Set(records.map((record) => cellAt(record, plan.fields.date)));
  if ([...cells].some((cell) => cell.trim() !== '')) return detectDateFormat(cells);
  if (whole) return undefined;
  const why = fault ? `the record in line ${fault.line} ${fault.reason}` : `none has ${plan.header.length} cells and a date`;
  throw new DomainError('IMPORT_UNREADABLE', `No row at the beginning of the file can be read to learn its date format: ${why}`, {
    option: '--date-format',
    columns: plan.header,
    ...fault,
  });
};

const settle = (head: FileHead, plan: ColumnPlan, options: ImportOptions): { currency: string | undefined; notices: ImportNotice[] } => {
  const notices: ImportNotice[] = [];
  const ofHeader = plan.currencyOfHeader;
  if (ofHeader !== undefined && options.currency !== undefined && ofHeader !== options.currency)
    throw new DomainError('BAD_USER_INPUT', `The header says that amounts are in ${ofHeader}, the option says ${options.currency}`, {
      option: '--currency',
      candidates: [ofHeader],
    });
  if (head.encodingAssumed)
    notices.push({
      code: 'ENCODING_ASSUMED',
      message: `The file is not UTF-8 and is read as ${head.encoding}; if names look wrong, import it again with --encoding`,
    });
  if (ofHeader !== undefined && options.currency === undefined)
    notices.push({ code: 'CURRENCY_FROM_HEADER', message: `Amounts are in ${ofHeader}, as the header says` });
  if (plan.ignored.length > 0)
    notices.push({
      code: 'COLUMNS_IGNORED',
      message: `Columns that are not imported: ${plan.ignored.join(', ')}. Map them with --map; name with --breakdown those that divide a day into several rows`,
    });
  return { currency: options.currency ?? ofHeader, notices };
};

const describe = (
  plan: ColumnPlan,
  rest: Pick<ImportReading, 'format' | 'encoding' | 'delimiter' | 'decimal' | 'dateFormat' | 'notices'>,
): ImportReading => ({
  ...rest,
  columns: Object.fromEntries(Object.entries(plan.fields).map(([field, index]) => [field, cellAt(plan.header, index)])),
  breakdown: plan.breakdown.map(({ index }) => cellAt(plan.header, index)),
  ignored: plan.ignored,
});
