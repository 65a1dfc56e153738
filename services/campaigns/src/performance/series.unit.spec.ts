import { seededRandom } from '@pca/testing';
import { expect, it } from 'vitest';
import { zeroSums } from './metrics-sums.js';
import { addDays, bucketSeries, bucketStart, dayIn, type Interval, isTimeZone } from './series.js';

/** The twin: walks day by day and asks the calendar of Date for each. */
const slowStart = (date: string, interval: Interval, firstDayOfWeek: number): string => {
  const day = new Date(`${date}T12:00:00Z`);
  while (interval === 'WEEK' ? (day.getUTCDay() || 7) !== firstDayOfWeek : interval === 'MONTH' && day.getUTCDate() !== 1)
    day.setUTCDate(day.getUTCDate() - 1);
  return day.toISOString().slice(0, 10);
};

it('buckets random days as a walk through the calendar does', () => {
  const random = seededRandom('series');
  for (let n = 0; n < 300; n++) {
    const interval = random.pick(['DAY', 'WEEK', 'MONTH'] as const);
    const firstDayOfWeek = 1 + random.int(7);
    const from = addDays('2023-12-01', random.int(800));
    const to = addDays(from, random.int(120));
    const days = Array.from({ length: random.int(80) }, () => ({
      ...zeroSums,
      date: addDays(from, random.int(140) - 10),
      clicks: random.int(50),
    }));
    const series = bucketSeries(days, { from, to }, interval, firstDayOfWeek);

    const expected = new Map<string, number>();
    for (let date = from; date <= to; date = addDays(date, 1)) {
      const start = slowStart(date, interval, firstDayOfWeek);
      const clicks = days.filter((day) => day.date === date).reduce((total, day) => total + day.clicks, 0);
      expected.set(start, (expected.get(start) ?? 0) + clicks);
    }
    expect(series.map(({ start, sums }) => [start, sums.clicks])).toEqual([...expected]);
  }
});

it('starts weeks on the day that the workspace says', () => {
  expect(bucketStart('2026-11-22', 'WEEK', 1)).toBe('2026-11-16');
  expect(bucketStart('2026-11-22', 'WEEK', 7)).toBe('2026-11-22');
});

it('knows the day of an instant in a zone, over a change of clocks', () => {
  expect(dayIn('2026-03-29T00:30:00Z', 'Europe/Berlin')).toBe('2026-03-29');
  expect(dayIn('2026-10-24T22:30:00Z', 'Europe/Berlin')).toBe('2026-10-25');
  expect(dayIn('2026-10-24T22:30:00Z', 'America/New_York')).toBe('2026-10-24');
  expect(dayIn('2026-10-24', 'Asia/Tokyo')).toBe('2026-10-24');
  expect(isTimeZone('Mars/Base')).toBe(false);
});
