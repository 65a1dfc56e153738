import { DomainError } from '@pca/errors';
import { importLimits } from '../import-item.js';

export type DecimalMark = '.' | ',';

/** Why a cell is no number that can be stored; each completes the sentence "this value …". */
export const numberFaults = {
  notANumber: 'is not a number',
  negative: 'is negative',
  tooLarge: 'is too large',
  percent: 'is a percentage, not an amount',
  scientific: 'is in scientific notation, which has lost digits',
  notWhole: 'is not a whole number',
  unclear: 'can be read with a decimal comma or with a decimal point; say which with --decimal',
  foreignMark: 'is not written with the decimal mark and thousands marks of this file',
  foreignCurrency: "is in another currency than the row's",
} as const;

export type NumberFault = (typeof numberFaults)[keyof typeof numberFaults];

const { microsMax, countMax, numberCharsMax } = importLimits;
const absent = /^[-–—]{0,2}$/;
const signs = '\\p{Sc}|[A-Z]{1,3}\\p{Sc}|[A-Z]{3}|kr\\.?|zł|Kč|Ft|lei|Fr\\.';
const signBefore = new RegExp(`^(${signs})\\s*(?=[\\d.,+\\-−])`, 'u');
const signBehind = new RegExp(`(?<=[\\d.,])\\s*(${signs})$`, 'u');
const scientific = /^[+-]?\d+([.,]\d+)?e[+-]?\d+$/i;
const digitsAndMarks = /^[\d.,'’ \u00a0\u2009\u202f]+$/;

// Groups of three with one mark throughout, or the Indian lakh and crore with commas.
const shapes: Readonly<Record<DecimalMark, RegExp>> = {
  '.': /^(?:([1-9]\d{0,2}([,'’ \u00a0\u2009\u202f])\d{3}(?:\2\d{3})*|[1-9]\d?(?:,\d{2})+,\d{3}|\d+)(?:\.(\d+))?|\.(\d+))$/,
  ',': /^(?:([1-9]\d{0,2}([.'’ \u00a0\u2009\u202f])\d{3}(?:\2\d{3})*|\d+)(?:,(\d+))?|,(\d+))$/,
};

// Signs of one currency only; a dollar or a crown may be several.
const currencyOfSign: Readonly<Record<string, string>> = {
  '€': 'EUR',
  '₹': 'INR',
  '₩': 'KRW',
  '₽': 'RUB',
  '₺': 'TRY',
  '₴': 'UAH',
  '₫': 'VND',
  '₪': 'ILS',
  '₦': 'NGN',
  '₱': 'PHP',
  '฿': 'THB',
  '₸': 'KZT',
  US$: 'USD',
  CA$: 'CAD',
  A$: 'AUD',
  AU$: 'AUD',
  NZ$: 'NZD',
  HK$: 'HKD',
  MX$: 'MXN',
  R$: 'BRL',
  zł: 'PLN',
  Kč: 'CZK',
  Ft: 'HUF',
  lei: 'RON',
};

interface Digits {
  readonly whole: string;
  readonly fraction: string;
}

const digitsOf = (body: string, mark: DecimalMark): Digits | undefined => {
  const match = shapes[mark].exec(body);
  return match ? { whole: (match[1] ?? '').replace(/\D/g, ''), fraction: match[3] ?? match[4] ?? '' } : undefined;
};

/** Rounds half up at the seventh decimal; undefined when the result is over the limit. */
const microsOf = ({ whole, fraction }: Digits): number | undefined => {
  const significant = whole.replace(/^0+/, '');
  if (significant.length > 10) return undefined;
  const micros = Number(significant) * 1_000_000 + Number(fraction.slice(0, 6).padEnd(6, '0')) + (fraction.charCodeAt(6) >= 53 ? 1 : 0);
  return micros <= microsMax ? micros : undefined;
};

// Three decimals are a group of thousands that the decimal mark of the file does not allow: 1.234 clicks are not 1.234.
const wholeOf = ({ whole, fraction }: Digits): number | NumberFault => {
  if (fraction.length === 3) return numberFaults.foreignMark;
  if (/[1-9]/.test(fraction)) return numberFaults.notWhole;
  const count = Number(whole);
  return count <= countMax ? count : numberFaults.tooLarge;
};

const isForeign = (sign: string, currency: string | undefined): boolean => {
  const meant = Object.hasOwn(currencyOfSign, sign) ? currencyOfSign[sign] : /^[A-Z]{3}$/.test(sign) ? sign : undefined;
  return meant !== undefined && currency !== undefined && meant !== currency;
};

/** Digits and marks alone, without sign and currency; or the fault; or 'absent' for an empty cell and for dashes. */
const bodyOf = (
  cell: string,
  money: boolean,
  currency: string | undefined,
): { body: string; negative: boolean } | NumberFault | 'absent' => {
  let text = cell.trim();
  if (absent.test(text)) return 'absent';
  if (text.length > numberCharsMax) return digitsAndMarks.test(text) ? numberFaults.tooLarge : numberFaults.notANumber;
  if (scientific.test(text)) return numberFaults.scientific;
  if (text.includes('%')) return numberFaults.percent;
  let negative = false;
  if (/^\(.*\)$/.test(text)) {
    negative = true;
    text = text.slice(1, -1).trim();
  }
  const unsign = (): void => {
    if (/^[-−]/.test(text)) negative = true;
    text = text.replace(/^[-−+]\s*/, '');
  };
  unsign();
  for (const pattern of money ? [signBefore, signBehind] : []) {
    const sign = pattern.exec(text)?.[1];
    if (sign !== undefined && isForeign(sign, currency)) return numberFaults.foreignCurrency;
    text = text.replace(pattern, '');
    unsign();
  }
  return digitsAndMarks.test(text) && /\d/.test(text) ? { body: text, negative } : numberFaults.notANumber;
};

const evaluate = <T>(body: string, mark: DecimalMark | undefined, value: (digits: Digits) => T): T | NumberFault => {
  if (mark) {
    const digits = digitsOf(body, mark);
    return digits ? value(digits) : numberFaults.foreignMark;
  }
  const point = digitsOf(body, '.');
  const comma = digitsOf(body, ',');
  if (!point) return comma ? value(comma) : numberFaults.notANumber;
  if (!comma) return value(point);
  const [asPoint, asComma] = [value(point), value(comma)];
  if (asPoint === asComma || typeof asComma === 'string') return asPoint;
  return typeof asPoint === 'string' ? asComma : numberFaults.unclear;
};

const read = (
  cell: string,
  mark: DecimalMark | undefined,
  value: (digits: Digits) => number | NumberFault,
  money: boolean,
  currency?: string,
): number | NumberFault => {
  const found = bodyOf(cell, money, currency);
  if (found === 'absent') return 0;
  if (typeof found === 'string') return found;
  const result = evaluate(found.body, mark, value);
  return found.negative && typeof result === 'number' && result > 0 ? numberFaults.negative : result;
};

const microsValue = (digits: Digits): number | NumberFault => microsOf(digits) ?? numberFaults.tooLarge;

// Almost every cell is digits with at most one decimal mark: read without a regular expression. -1 sends it the long way.
const plainMicros = (cell: string, mark: DecimalMark | undefined): number => {
  const { length } = cell;
  if (length === 0 || length > 16) return -1;
  let whole = 0;
  let at = 0;
  for (; at < length; at++) {
    const digit = cell.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) break;
    whole = whole * 10 + digit;
  }
  if (whole > 8_999_999_999) return -1;
  if (at === length) return whole * 1_000_000;
  if (at === 0 || at + 1 === length || mark === undefined || cell[at] !== mark) return -1;
  let micros = 0;
  let unit = 100_000;
  for (let place = at + 1; place < length; place++) {
    const digit = cell.charCodeAt(place) - 48;
    if (digit < 0 || digit > 9) return -1;
    if (unit >= 1) micros += digit * unit;
    else if (place === at + 7 && digit >= 5) micros++;
    unit = unit === 1 ? 0 : unit / 10;
  }
  return whole * 1_000_000 + micros;
};

/**
 * An amount in micros, rounded half up, exact; 0 for an empty cell or dashes.
 * @param currency The row's currency: an amount that names another one is refused. null: no amount of money, so no currency sign may stand
 * there.
 */
export const readMicros = (cell: string, mark: DecimalMark | undefined, currency: string | null | undefined): number | NumberFault => {
  const plain = plainMicros(cell, mark);
  return plain === -1 ? read(cell, mark, microsValue, currency !== null, currency ?? undefined) : plain;
};

/** An empty cell, or the dashes that stand for nothing. */
export const isAbsentNumber = (cell: string): boolean => absent.test(cell.trim());

/** A whole number of things; "1,234" is 1234 wherever the decimal mark allows it, "12.0" is 12, "1.5" is a fault. */
export const readCount = (cell: string, mark: DecimalMark | undefined): number | NumberFault => {
  const plain = plainMicros(cell, undefined);
  return plain === -1 ? read(cell, mark, wholeOf, false) : plain / 1_000_000;
};

/** A cell of the head that tells something about the decimal mark. */
export interface NumberSample {
  readonly cell: string;
  readonly kind: 'money' | 'amount' | 'count';
}

/**
 * The decimal mark that the numbers of the head agree on; undefined when none of them shows any mark.
 * @throws DomainError IMPORT_UNREADABLE when they contradict each other, or when each can be read both ways.
 */
export const detectDecimalMark = (samples: Iterable<NumberSample>): DecimalMark | undefined => {
  const examples: { '.'?: string; ','?: string; either?: string } = {};
  for (const { cell, kind } of samples) {
    const found = bodyOf(cell, kind === 'money', undefined);
    if (typeof found === 'string') continue;
    const value = kind === 'count' ? wholeOf : microsValue;
    const [point, comma] = (['.', ','] as const).map((mark) => evaluate(found.body, mark, value));
    if (point === comma || (typeof point === 'string' && typeof comma === 'string')) continue;
    if (typeof point === 'string') examples[','] ??= cell;
    else if (typeof comma === 'string') examples['.'] ??= cell;
    else examples.either ??= cell;
  }
  const { '.': point, ',': comma, either } = examples;
  if (point !== undefined && comma !== undefined)
    throw undecided('Some numbers of this file have a decimal point and some a decimal comma; say with --decimal which rows to take', [
      point,
      comma,
    ]);
  if (point !== undefined || comma !== undefined) return point === undefined ? ',' : '.';
  if (either !== undefined)
    throw undecided('The numbers of this file can be read with a decimal point or with a decimal comma; say which with --decimal', [
      either,
    ]);
  return undefined;
};

const undecided = (message: string, examples: readonly string[]): DomainError =>
  new DomainError('IMPORT_UNREADABLE', message, {
    option: '--decimal',
    candidates: ['.', ','],
    examples: examples.map((example) => example.slice(0, numberCharsMax)),
  });
