import { DomainError } from '@pca/errors';
import { remembering } from './text.js';

/** A calendar day as YYYY-MM-DD, or why it is none; the reason completes the sentence "this value …". */
export type DateReading = { readonly date: string } | { readonly reason: string };

const months = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'];

const parts = {
  YYYY: '(?<year>\\d{4})',
  YY: '(?<shortYear>\\d{2})',
  MM: '(?<month>\\d{1,2})',
  MMM: '(?<monthName>[a-z]{3,9})\\.?',
  DD: '(?<day>\\d{1,2})',
  Do: '(?<day>\\d{1,2})(?:st|nd|rd|th)?',
} as const;
const gap = '[-/. ]';

// The same mark stands in both gaps.
const numeric = (first: keyof typeof parts, second: keyof typeof parts, third: keyof typeof parts): RegExp =>
  new RegExp(`^${parts[first]}(?<gap>${gap})${parts[second]}\\k<gap>${parts[third]}$`);
const worded = (source: string): RegExp => new RegExp(`^${source}$`, 'i');

/** What `--date-format` takes. The marks between the parts may be - / . or a space, whichever the file has. */
const shapes = {
  'YYYY-MM-DD': numeric('YYYY', 'MM', 'DD'),
  YYYYMMDD: /^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})$/,
  'DD-MM-YYYY': numeric('DD', 'MM', 'YYYY'),
  'MM-DD-YYYY': numeric('MM', 'DD', 'YYYY'),
  'DD-MM-YY': numeric('DD', 'MM', 'YY'),
  'MM-DD-YY': numeric('MM', 'DD', 'YY'),
  'YY-MM-DD': numeric('YY', 'MM', 'DD'),
  'DD-MMM-YYYY': worded(`${parts.Do}${gap}?${parts.MMM},?${gap}?${parts.YYYY}`),
  'DD-MMM-YY': worded(`${parts.Do}${gap}${parts.MMM},?${gap}${parts.YY}`),
  'MMM-DD-YYYY': worded(`${parts.MMM}${gap}?${parts.Do}(?:, ?|${gap})${parts.YYYY}`),
} as const;

export type DateFormat = keyof typeof shapes;
export const dateFormats = Object.keys(shapes) as DateFormat[];

const firstYear = 1990;
const lastYear = 2100;
const weekday = /^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,? +/i;
const timeOfDay = /[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)? ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?$/i;
const dateCharsMax = 64;

const strftime: Readonly<Record<string, string>> = { '%Y': 'YYYY', '%y': 'YY', '%m': 'MM', '%d': 'DD', '%b': 'MMM', '%B': 'MMM' };

/** @throws DomainError BAD_USER_INPUT when the format is not one of dateFormats, in whatever case and with whatever marks. */
export const parseDateFormat = (text: string): DateFormat => {
  const spelled = text.replace(/%[a-z]/gi, (code) => strftime[code] ?? code).toUpperCase();
  const parts = spelled.split(/[^A-Z%]+/).filter((part) => part !== '');
  const found = dateFormats.find(
    (format) => format === parts.map((part) => ({ D: 'DD', M: 'MM', MMMM: 'MMM', MON: 'MMM' })[part] ?? part).join('-'),
  );
  if (found === undefined)
    throw new DomainError('BAD_USER_INPUT', 'There is no date format of that name', { option: '--date-format', candidates: dateFormats });
  return found;
};

const daysIn = (year: number, month: number): number => {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
};

// The day without weekday and midnight; any other time of day makes it a moment, whose day depends on a time zone that is not known here.
const bareDay = (cell: string): { day: string } | { reason: string } => {
  const text = cell.trim();
  if (text === '') return { reason: 'is empty' };
  if (text.length > dateCharsMax) return { reason: 'is not a date' };
  const time = timeOfDay.exec(text);
  if (time && time.slice(1, 5).some((part) => Number(part ?? 0) !== 0))
    return { reason: 'has a time of day, but a row is about a whole day' };
  return { day: (time ? text.slice(0, time.index) : text).replace(weekday, '') };
};

const readBareDay = (text: string, format: DateFormat): DateReading => {
  const groups = shapes[format].exec(text)?.groups;
  if (!groups) return { reason: `is not a date in the format ${format} of this file` };
  const year = groups['shortYear'] === undefined ? Number(groups['year']) : 2000 + Number(groups['shortYear']);
  const name = groups['monthName']?.toLowerCase();
  const month = name === undefined ? Number(groups['month']) : 1 + months.findIndex((full) => full.startsWith(name));
  const dayOfMonth = Number(groups['day']);
  if (month < 1 || month > 12 || dayOfMonth < 1 || dayOfMonth > daysIn(year, month))
    return { reason: `is no day of the calendar in the format ${format}` };
  if (year < firstYear || year > lastYear) return { reason: `is not between the years ${firstYear} and ${lastYear}` };
  return { date: `${year}-${String(month).padStart(2, '0')}-${String(dayOfMonth).padStart(2, '0')}` };
};

/** Reads the dates of a file in its one format. Midnight behind a date and a weekday before it are passed over. */
export const dateReader = (format: DateFormat): ((cell: string) => DateReading) =>
  remembering((cell) => {
    const bare = bareDay(cell);
    return 'reason' in bare ? bare : readBareDay(bare.day, format);
  });

const bestOf = (days: readonly string[], fits: (text: string, format: DateFormat) => boolean): { formats: DateFormat[]; count: number } => {
  const counts = dateFormats.map((format) => ({ format, count: days.filter((text) => fits(text, format)).length }));
  const count = Math.max(...counts.map((entry) => entry.count));
  return { formats: count === 0 ? [] : counts.filter((entry) => entry.count === count).map((entry) => entry.format), count };
};

const isDay = (text: string, format: DateFormat): boolean => 'date' in readBareDay(text, format);
const hasShape = (text: string, format: DateFormat): boolean => shapes[format].test(text);
const trusted = 0.9;

/**
 * The one format that the dates of the head are written in. Cells that are no date in any format do not count, they are rejected later.
 * Dots mean that the day comes first, as in every locale; otherwise nothing is assumed: day and month are told apart by a day over 12 or
 * not at all.
 * @param cells Distinct cells of the date column.
 * @throws DomainError IMPORT_UNREADABLE when two formats fit, when days stand first in one row and months in another, or when nothing is a
 * date.
 */
export const detectDateFormat = (cells: Iterable<string>): DateFormat => {
  const days: string[] = [];
  const examples: string[] = [];
  for (const cell of cells) {
    const bare = bareDay(cell);
    if ('reason' in bare) continue;
    if (examples.length < 3) examples.push(cell.trim().slice(0, dateCharsMax));
    if (dateFormats.some((format) => hasShape(bare.day, format))) days.push(bare.day);
  }
  // Days of the calendar decide; where there is none, the shape may still say what the file means.
  const real = days.filter((text) => dateFormats.some((format) => isDay(text, format)));
  const known = real.length > 0 ? real : days;
  const { formats, count } = bestOf(known, real.length > 0 ? isDay : hasShape);
  const [best] = formats;
  const ask = (message: string, candidates: readonly DateFormat[]): DomainError =>
    new DomainError('IMPORT_UNREADABLE', `${message}; say which with --date-format`, { option: '--date-format', candidates, examples });
  if (best === undefined) throw ask('No value of the date column is a date in a known format', dateFormats);
  if (formats.length > 1) {
    if (formats.join() === 'DD-MM-YYYY,MM-DD-YYYY' && known.every((text) => text.includes('.'))) return 'DD-MM-YYYY';
    throw ask('The dates of this file fit more than one format', formats);
  }
  const others = dateFormats.filter((format) => known.some((text) => isDay(text, format) && !isDay(text, best)));
  // A stray date that looks different is rejected by itself; one that looks the same shows that the others may be misread.
  const rival = others.some((format) => known.some((text) => hasShape(text, format) && hasShape(text, best)));
  if (rival || count < trusted * known.length) throw ask('The dates of this file are in different formats', [best, ...others]);
  return best;
};
