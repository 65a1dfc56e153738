import { seededRandom } from '@pca/testing';
import { describe, expect, it } from 'vitest';
import { type DateFormat, dateFormats, dateReader, detectDateFormat, parseDateFormat } from './date-format.js';

const two = (value: number): string => String(value).padStart(2, '0');
const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const written = (format: DateFormat, year: number, month: number, day: number, gap: string): string =>
  ({
    'YYYY-MM-DD': [year, two(month), two(day)].join(gap),
    YYYYMMDD: `${year}${two(month)}${two(day)}`,
    'DD-MM-YYYY': [two(day), two(month), year].join(gap),
    'MM-DD-YYYY': [two(month), two(day), year].join(gap),
    'DD-MM-YY': [two(day), two(month), two(year % 100)].join(gap),
    'MM-DD-YY': [two(month), two(day), two(year % 100)].join(gap),
    'YY-MM-DD': [two(year % 100), two(month), two(day)].join(gap),
    'DD-MMM-YYYY': [day, monthNames[month - 1], year].join(gap),
    'DD-MMM-YY': [day, monthNames[month - 1], two(year % 100)].join(gap),
    'MMM-DD-YYYY': [monthNames[month - 1], day, year].join(gap),
  })[format];

describe('dateReader', () => {
  it('takes the days of the calendar and no others, in every format', () => {
    const random = seededRandom('dates');
    for (let n = 0; n < 20_000; n++) {
      const format = random.pick(dateFormats);
      const [year, month, day] = [2000 + random.int(100), 1 + random.int(13), random.int(33)];
      const cell =
        month === 13 && format.includes('MMM') ? '1 Foo 2023' : written(format, year, month, day, random.pick(['-', '/', '.', ' ']));
      // The twin: the calendar of Date, which moves an impossible day elsewhere.
      const moved = new Date(Date.UTC(year, month - 1, day));
      const real = moved.getUTCMonth() === month - 1 && moved.getUTCDate() === day;
      const found = dateReader(format)(cell);
      const message = `seed ${random.seed}, ${cell} as ${format}`;
      if (real) expect(found, message).toEqual({ date: moved.toISOString().slice(0, 10) });
      else expect(found, message).toHaveProperty('reason');
    }
  });

  it.each([
    ['YYYY-MM-DD', '2023-8-5', '2023-08-05'],
    ['YYYY-MM-DD', ' 2023-08-31 00:00:00 UTC', '2023-08-31'],
    ['YYYY-MM-DD', '2023-08-31T00:00:00.000Z', '2023-08-31'],
    ['DD-MMM-YYYY', '31 August 2023', '2023-08-31'],
    ['DD-MMM-YYYY', '31-aug-2023', '2023-08-31'],
    ['MMM-DD-YYYY', 'Aug 31, 2023', '2023-08-31'],
    ['MMM-DD-YYYY', 'Thu, Aug 31, 2023', '2023-08-31'],
    ['MMM-DD-YYYY', 'Sept. 1st, 2023', '2023-09-01'],
    ['MM-DD-YY', '8/31/23', '2023-08-31'],
  ] as const)('reads as %s %j', (format, cell, date) => {
    expect(dateReader(format)(cell)).toEqual({ date });
  });

  it.each([
    ['2023-02-30', /no day of the calendar/],
    ['2023-13-01', /no day of the calendar/],
    ['2023-08-31 14:30:00', /time of day/],
    ['31/08/2023', /not a date in the format YYYY-MM-DD/],
    ['2023-08/31', /not a date in the format/],
    ['1023-08-31', /years 1990 and 2100/],
    ['', /empty/],
    ['Total', /not a date/],
    ['9'.repeat(100_000), /not a date/],
  ])('refuses %.20s', (cell, reason) => {
    expect(dateReader('YYYY-MM-DD')(cell)).toEqual({ reason: expect.stringMatching(reason) });
  });
});

describe('detectDateFormat', () => {
  const asks = (...candidates: DateFormat[]) =>
    expect.objectContaining({ code: 'IMPORT_UNREADABLE', details: expect.objectContaining({ option: '--date-format', candidates }) });

  it('never settles on a format that reads one of the dates differently from how it was written', () => {
    const random = seededRandom('date formats');
    const outcomes = { right: 0, asked: 0 };
    for (let n = 0; n < 3_000; n++) {
      const format = random.pick(dateFormats);
      // Nobody writes the month first with dots; there the convention decides.
      const gap = random.pick(['-', '/', ' ', ...(format === 'MM-DD-YYYY' ? [] : ['.'])]);
      const cells = Array.from({ length: 1 + random.int(8) }, () =>
        written(format, 2005 + random.int(30), 1 + random.int(12), 1 + random.int(28), gap),
      );
      const message = `seed ${random.seed}, ${cells.join('  ')} as ${format}`;
      try {
        expect(detectDateFormat(cells), message).toBe(format);
        outcomes.right++;
      } catch (error) {
        expect(error, message).toMatchObject({ details: { candidates: expect.arrayContaining([format]) } });
        outcomes.asked++;
      }
    }
    expect(outcomes.right).toBeGreaterThan(1_500);
    expect(outcomes.asked).toBeGreaterThan(100);
  });

  it('tells day and month apart by a day over 12, and asks when there is none', () => {
    expect(detectDateFormat(['01/02/2023', '31/02/2023', '13/02/2023'])).toBe('DD-MM-YYYY');
    expect(detectDateFormat(['01/02/2023', '02/13/2023'])).toBe('MM-DD-YYYY');
    expect(() => detectDateFormat(['01/02/2023', '12/12/2023'])).toThrow(asks('DD-MM-YYYY', 'MM-DD-YYYY'));
    expect(() => detectDateFormat(['05/05/2023'])).toThrow(asks('DD-MM-YYYY', 'MM-DD-YYYY'));
    expect(detectDateFormat(['01.02.2023'])).toBe('DD-MM-YYYY');
  });

  it('asks when days stand first in one row and months in another, as after a spreadsheet of another country', () => {
    const rows = Array.from({ length: 200 }, (_, index) => `${13 + (index % 15)}/08/2023`);
    expect(() => detectDateFormat([...rows, '08/31/2023'])).toThrow(asks('DD-MM-YYYY', 'MM-DD-YYYY'));
  });

  it('lets a few strays be rejected by themselves', () => {
    const rows = Array.from({ length: 20 }, (_, index) => `2023-08-${two(1 + index)}`);
    expect(detectDateFormat([...rows, 'Total', '31 Aug 2023', '2023-02-30', ''])).toBe('YYYY-MM-DD');
    expect(() => detectDateFormat(['2023-08-01', '31/08/2023'])).toThrow(asks('YYYY-MM-DD', 'DD-MM-YYYY'));
  });

  it('goes by the shape when no day is real, and asks when nothing is a date', () => {
    expect(detectDateFormat(['2023-02-30'])).toBe('YYYY-MM-DD');
    expect(() => detectDateFormat(['45169', 'yesterday'])).toThrow(asks(...dateFormats));
  });
});

describe('parseDateFormat', () => {
  it.each([
    ['DD/MM/YYYY', 'DD-MM-YYYY'],
    ['d.m.yyyy', 'DD-MM-YYYY'],
    ['%Y-%m-%d', 'YYYY-MM-DD'],
    ['%Y%m%d', 'YYYYMMDD'],
    ['MMM D, YYYY', 'MMM-DD-YYYY'],
    ['mm-dd-yy', 'MM-DD-YY'],
  ])('understands %s', (text, format) => {
    expect(parseDateFormat(text)).toBe(format);
  });

  it.each(['', 'YYYY', 'DD-MM', 'constructor', '%H:%M'])('refuses %j', (text) => {
    expect(() => parseDateFormat(text)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT' }));
  });
});
