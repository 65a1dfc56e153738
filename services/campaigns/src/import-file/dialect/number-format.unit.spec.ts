import { seededRandom } from '@pca/testing';
import { describe, expect, it } from 'vitest';
import { type DecimalMark, detectDecimalMark, numberFaults, readCount, readMicros } from './number-format.js';

/** The twin: walks over the characters and computes with big integers. null: no number under this mark. */
const slowMicros = (cell: string, mark: DecimalMark): bigint | null => {
  const text = cell.trim();
  const marks = [...text].filter((character) => character === mark).length;
  if (text === '' || marks > 1) return null;
  const [whole = '', fraction] = text.split(mark);
  if (fraction !== undefined && !/^[0-9]+$/.test(fraction)) return null;
  if (whole === '' && fraction === undefined) return null;
  const groups = whole.split(/[^0-9]/);
  const separators = [...whole].filter((character) => character < '0' || character > '9');
  if (separators.length > 0) {
    if (new Set(separators).size > 1 || separators[0] === mark || !/^[.,'’ \u00a0\u2009\u202f]$/.test(separators[0]!)) return null;
    const [first = '', ...rest] = groups;
    const last = rest.at(-1)!;
    const western = rest.every((group) => group.length === 3) && first.length >= 1 && first.length <= 3;
    const indian =
      separators[0] === ',' &&
      rest.slice(0, -1).every((group) => group.length === 2) &&
      last.length === 3 &&
      first.length >= 1 &&
      first.length <= 2;
    if ((!western && !indian) || first.startsWith('0')) return null;
  }
  const scaled = BigInt(groups.join('') + (fraction ?? '') || '0') * 10n;
  const places = BigInt((fraction ?? '').length);
  // (digits × 10^6 ÷ 10^places), half up: add half of the divisor, then cut.
  const divisor = 10n ** places * 10n;
  return (scaled * 1_000_000n * 2n + divisor) / (divisor * 2n);
};

describe('readMicros', () => {
  it.each([
    ['1.429999948', 1_430_000],
    ['0.0000005', 1],
    ['0.00000049999', 0],
    ['58,705.23', 58_705_230_000],
    ["1'234.5", 1_234_500_000],
    ['1’234.5', 1_234_500_000],
    ['1 234.56', 1_234_560_000],
    ['1\u00a0234.56', 1_234_560_000],
    ['1\u202f234\u202f567.8', 1_234_567_800_000],
    ['12,34,567.89', 1_234_567_890_000],
    ['$1,234.56', 1_234_560_000],
    ['US$ 5', 5_000_000],
    ['5.00 USD', 5_000_000],
    ['$5.00 USD', 5_000_000],
    ['-$0.00', 0],
    ['.5', 500_000],
    ['+7', 7_000_000],
    ['', 0],
    [' -- ', 0],
    ['—', 0],
    ['9000000000', 9_000_000_000_000_000],
    ['8999999999.999999', 8_999_999_999_999_999],
    ['0000000000000000000012.5', 12_500_000],
  ])('reads %j', (cell, micros) => {
    expect(readMicros(cell, '.', 'USD')).toBe(micros);
  });

  it.each([
    ['1.234,56', 1_234_560_000],
    ['1 234,56 €', 1_234_560_000],
    ['EUR 0,5', 500_000],
    ["1'234,5", 1_234_500_000],
  ])('reads %j with a decimal comma', (cell, micros) => {
    expect(readMicros(cell, ',', 'EUR')).toBe(micros);
  });

  it.each([
    ['-1', 'negative'],
    ['−1', 'negative'],
    ['(1.50)', 'negative'],
    ['$-1', 'negative'],
    ['NaN', 'notANumber'],
    ['Infinity', 'notANumber'],
    ['n/a', 'notANumber'],
    ['<10', 'notANumber'],
    ['1e5', 'scientific'],
    ['1.2E+05', 'scientific'],
    ['5%', 'percent'],
    ['1.2.3', 'foreignMark'],
    ['12,34.5', 'foreignMark'],
    ['1.234,56', 'foreignMark'],
    ['0,123', 'foreignMark'],
    ['1,234,56,789', 'foreignMark'],
    ['9000000000.000001', 'tooLarge'],
    ['9'.repeat(40), 'tooLarge'],
    ['9'.repeat(100_000), 'tooLarge'],
    ['x'.repeat(100_000), 'notANumber'],
    ['1\0', 'notANumber'],
    ['٣', 'notANumber'],
    ['5 €', 'foreignCurrency'],
    ['EUR 5', 'foreignCurrency'],
  ] as const)('refuses %.12s', (cell, fault) => {
    expect(readMicros(cell, '.', 'USD')).toBe(numberFaults[fault]);
  });

  it('takes no currency where no money is', () => {
    expect(readMicros('$5', '.', null)).toBe(numberFaults.notANumber);
    expect(readMicros('5.25', '.', null)).toBe(5_250_000);
  });

  it('is clear about what is unclear when the decimal mark is not known', () => {
    expect(readMicros('12.50', undefined, 'USD')).toBe(12_500_000);
    expect(readMicros('12,50', undefined, 'USD')).toBe(12_500_000);
    expect(readMicros('1,234', undefined, 'USD')).toBe(numberFaults.unclear);
    expect(readMicros('1.234.567', undefined, 'USD')).toBe(1_234_567_000_000);
  });

  it('agrees with big integers on random numbers and on near-numbers', () => {
    const random = seededRandom('numbers');
    const digits = (count: number): string => Array.from({ length: count }, () => random.int(10)).join('');
    let numbers = 0;
    for (let n = 0; n < 60_000; n++) {
      const mark = random.pick(['.', ','] as const);
      const cell =
        random.int(2) === 0
          ? Array.from({ length: 1 + random.int(9) }, () => random.pick(['0', '1', '5', '9', '.', ',', "'", ' ', '123', '000'])).join('')
          : `${digits(1 + random.int(9))}${random.int(2) === 0 ? '' : mark + digits(1 + random.int(12))}`;
      const expected = slowMicros(cell, mark);
      const found = readMicros(cell, mark, 'USD');
      const message = `seed ${random.seed}, ${JSON.stringify(cell)} with ${mark}`;
      if (cell.trim() === '') expect(found, message).toBe(0);
      else if (expected === null) expect(found, message).toBeTypeOf('string');
      else if (expected > 9_000_000_000_000_000n) expect(found, message).toBe(numberFaults.tooLarge);
      else expect(found, message).toBe(Number(expected));
      if (typeof found === 'number') numbers++;
    }
    expect(numbers).toBeGreaterThan(20_000);
  });
});

describe('readCount', () => {
  it.each([
    ['1,234', '.', 1_234],
    ['1.234', ',', 1_234],
    ['1,234', undefined, 1_234],
    ['1.234', undefined, 1_234],
    ['1 234 567', undefined, 1_234_567],
    ['735.0', '.', 735],
    ['', '.', 0],
    ['1000000000000', '.', 1_000_000_000_000],
  ] as const)('reads %j with %s', (cell, mark, count) => {
    expect(readCount(cell, mark)).toBe(count);
  });

  it.each([
    ['1.5', '.', 'notWhole'],
    ['1.5', undefined, 'notWhole'],
    ['1.234', '.', 'foreignMark'],
    ['1000000000001', '.', 'tooLarge'],
    ['-3', '.', 'negative'],
    ['$3', '.', 'notANumber'],
    ['5%', '.', 'percent'],
  ] as const)('refuses %j with %s', (cell, mark, fault) => {
    expect(readCount(cell, mark)).toBe(numberFaults[fault]);
  });
});

describe('detectDecimalMark', () => {
  const money = (...cells: string[]) => detectDecimalMark(cells.map((cell) => ({ cell, kind: 'money' as const })));
  const withCounts = (cells: string[], counts: string[]) =>
    detectDecimalMark([
      ...cells.map((cell) => ({ cell, kind: 'money' as const })),
      ...counts.map((cell) => ({ cell, kind: 'count' as const })),
    ]);

  it('follows what can be read one way only', () => {
    expect(money('1,234', '5.50')).toBe('.');
    expect(money('1.234', '5,50 €')).toBe(',');
    expect(money('1.234.567')).toBe(',');
    expect(money('12,34,567')).toBe('.');
    expect(money('0,125')).toBe(',');
    expect(withCounts(['1,234'], ['5,678'])).toBe('.');
    expect(withCounts(['5'], ['735.0'])).toBe('.');
    expect(money('1', '20', '', '--', 'n/a')).toBeUndefined();
  });

  it('asks when nothing decides, and when numbers contradict each other', () => {
    const asks = expect.objectContaining({
      code: 'IMPORT_UNREADABLE',
      details: expect.objectContaining({ option: '--decimal', candidates: ['.', ','] }),
    });
    expect(() => money('1,234', '20')).toThrow(asks);
    expect(() => money('5.50', '5,50')).toThrow(asks);
    expect(() => withCounts(['5.50'], ['1.234'])).toThrow(asks);
  });
});
