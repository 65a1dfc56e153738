import { DomainError } from '@pca/errors';
import { isCurrency } from '../campaigns/campaign-input.js';
import { type DateFormat, parseDateFormat } from './dialect/date-format.js';
import { type Delimiter, parseDelimiter } from './dialect/delimiter.js';
import { type FileEncoding, parseEncoding } from './dialect/file-encoding.js';
import type { DecimalMark } from './dialect/number-format.js';
import { excerptOf, readText } from './dialect/text.js';
import { importFormatOf, squash } from './import-format.js';
import { type ImportField, importFields } from './import-item.js';

/** How to read a file, where it does not say so itself. What is absent is detected, or asked for by an error that names the option. */
export interface ImportOptions {
  /** 'generic' unless given. */
  readonly format?: string;
  /** For rows whose platform or currency stands in no column. */
  readonly platform?: string;
  /** ISO 4217, three upper-case letters. */
  readonly currency?: string;
  /** Field → the name of its column. */
  readonly map?: ColumnMap;
  /** Columns that slice a day, in addition to those known as such. */
  readonly breakdown?: readonly string[];
  readonly dateFormat?: DateFormat;
  readonly delimiter?: Delimiter;
  readonly encoding?: FileEncoding;
  readonly decimal?: DecimalMark;
}

export type ColumnMap = Readonly<Partial<Record<ImportField, string>>>;

/**
 * The options as text, from a command line or a query string; an empty text counts as absent. `map` is `field=column,…`, `breakdown`
 * `column,…`.
 */
export type ImportOptionTexts = Readonly<Partial<Record<keyof ImportOptions, string | undefined>>>;

const optionCharsMax = 8_192;
const platformCharsMax = 64;

/** @throws DomainError BAD_USER_INPUT, with the option at fault in its details; one that does not exist is a slip of the pen. */
export const parseImportOptions = (texts: ImportOptionTexts): ImportOptions => {
  for (const name of Object.keys(texts))
    if (!Object.hasOwn(optionNames, name))
      throw new DomainError('BAD_USER_INPUT', `An import has no option ${JSON.stringify(excerptOf(name))}`, {
        option: excerptOf(name),
        candidates: Object.keys(optionNames),
      });
  const given = (name: keyof ImportOptions): string | undefined => {
    const text = texts[name];
    // A query string that has an option twice gives a list of it.
    if (text !== undefined && typeof text !== 'string') throw badOption(optionNames[name], 'is given more than once');
    if (text !== undefined && text.length > optionCharsMax)
      throw badOption(optionNames[name], `is longer than ${optionCharsMax} characters`);
    return text === '' ? undefined : text;
  };
  const options: { -readonly [Name in keyof ImportOptions]: ImportOptions[Name] } = {
    format: importFormatOf(given('format') ?? 'generic').name,
  };
  const [platform, currency, map, breakdown] = [given('platform'), given('currency'), given('map'), given('breakdown')];
  if (platform !== undefined) options.platform = parsePlatform(platform);
  if (currency !== undefined) options.currency = parseCurrency(currency);
  if (map !== undefined) options.map = parseColumnMap(map);
  if (breakdown !== undefined) options.breakdown = splitList(breakdown, '--breakdown');
  const [dateFormat, delimiter, encoding, decimal] = [given('dateFormat'), given('delimiter'), given('encoding'), given('decimal')];
  if (dateFormat !== undefined) options.dateFormat = parseDateFormat(dateFormat);
  if (delimiter !== undefined) options.delimiter = parseDelimiter(delimiter);
  if (encoding !== undefined) options.encoding = parseEncoding(encoding);
  if (decimal !== undefined) options.decimal = parseDecimalMark(decimal);
  return options;
};

/**
 * `campaignId=xyz_campaign_id,spend="Cost, total"`: fields without regard to case and marks; a column that holds a comma or a quote stands
 * in double quotes,
 * with quotes inside doubled.
 * @throws DomainError BAD_USER_INPUT for an unknown field, a field given twice, or text of another shape.
 */
export const parseColumnMap = (text: string): ColumnMap => {
  const map: Partial<Record<ImportField, string>> = {};
  for (const { name, value } of splitEntries(text, '--map')) {
    const field = fieldOf(name);
    if (field === undefined)
      throw new DomainError('BAD_USER_INPUT', 'The column map names a field that does not exist', {
        option: '--map',
        field: name,
        candidates: importFields,
      });
    if (map[field] !== undefined) throw badOption('--map', `gives a column for ${field} twice`);
    map[field] = value;
  }
  return map;
};

const optionNames: Readonly<Record<keyof ImportOptions, string>> = {
  format: '--format',
  platform: '--platform',
  currency: '--currency',
  map: '--map',
  breakdown: '--breakdown',
  dateFormat: '--date-format',
  delimiter: '--delimiter',
  encoding: '--encoding',
  decimal: '--decimal',
};

const badOption = (option: string, reason: string): DomainError =>
  new DomainError('BAD_USER_INPUT', `The option ${option} ${reason}`, { option });

const fieldOf = (name: string): ImportField | undefined => {
  const squashed = squash(name);
  return squashed === 'campaignname' ? 'campaign' : importFields.find((field) => squash(field) === squashed);
};

const parsePlatform = (text: string): string => {
  const platform = readText(text, platformCharsMax);
  if ('reason' in platform) throw badOption('--platform', platform.reason);
  if (platform.text === '') throw badOption('--platform', 'is empty');
  return platform.text;
};

const parseCurrency = (text: string): string => {
  const currency = text.trim().toUpperCase();
  if (!isCurrency(currency)) throw badOption('--currency', 'must be an ISO 4217 code such as USD');
  return currency;
};

const parseDecimalMark = (text: string): DecimalMark => {
  const mark = ({ '.': '.', point: '.', ',': ',', comma: ',' } as const)[text.toLowerCase()];
  if (mark === undefined) throw badOption('--decimal', 'must be point or comma');
  return mark;
};

const quotable = '"((?:[^"]|"")*)"|([^",]*)';

const splitEntries = (text: string, option: string): { name: string; value: string }[] =>
  splitBy(
    new RegExp(`\\s*([^=,"]+?)\\s*=\\s*(?:${quotable})\\s*(?:,|$)`, 'y'),
    text,
    option,
    'must look like field=column,field=column',
    (match) => ({
      name: match[1] ?? '',
      value: unquote(match[2], match[3]),
    }),
  ).map((entry) => {
    if (entry.value === '') throw badOption(option, `gives no column for ${entry.name.slice(0, 80)}`);
    return entry;
  });

const splitList = (text: string, option: string): string[] =>
  splitBy(new RegExp(`\\s*(?:${quotable})\\s*(?:,|$)`, 'y'), text, option, 'must look like column,column', (match) =>
    unquote(match[1], match[2]),
  ).filter((name) => name !== '');

const unquote = (quoted: string | undefined, bare: string | undefined): string => quoted?.replaceAll('""', '"') ?? (bare ?? '').trim();

const splitBy = <T>(pattern: RegExp, text: string, option: string, expectation: string, take: (match: RegExpExecArray) => T): T[] => {
  const entries: T[] = [];
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (!match) throw badOption(option, expectation);
    entries.push(take(match));
  }
  return entries;
};
