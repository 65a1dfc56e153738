import { addSums, type MetricSums, zeroSums } from './metrics-sums.js';

export type Interval = 'DAY' | 'WEEK' | 'MONTH';

export interface DaySums extends MetricSums {
  /** YYYY-MM-DD. */
  date: string;
}

export interface BucketSums {
  /** First day of the bucket, YYYY-MM-DD; may lie before the range when the range starts inside a week or month. */
  start: string;
  sums: MetricSums;
}

const dayMs = 86_400_000;
const toMs = (date: string): number => Date.parse(`${date}T00:00:00Z`);
const toDate = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

export const addDays = (date: string, days: number): string => toDate(toMs(date) + days * dayMs);
export const daysBetween = (from: string, to: string): number => Math.round((toMs(to) - toMs(from)) / dayMs);

/** First day of the bucket that a day belongs to. `firstDayOfWeek` is ISO: 1 is Monday. */
export const bucketStart = (date: string, interval: Interval, firstDayOfWeek: number): string => {
  if (interval === 'DAY') return date;
  if (interval === 'MONTH') return `${date.slice(0, 7)}-01`;
  const isoDay = new Date(toMs(date)).getUTCDay() || 7;
  return addDays(date, -((isoDay - firstDayOfWeek + 7) % 7));
};

const nextBucket = (start: string, interval: Interval): string => {
  if (interval === 'DAY') return addDays(start, 1);
  if (interval === 'WEEK') return addDays(start, 7);
  const [year = 0, month = 0] = start.split('-').map(Number);
  return toDate(Date.UTC(year, month, 1));
};

/** Days summed into buckets over [from, to], both inclusive; buckets without data are there with zeros, so that a chart has no holes. */
export const bucketSeries = (
  days: readonly DaySums[],
  range: { from: string; to: string },
  interval: Interval,
  firstDayOfWeek: number,
): BucketSums[] => {
  const byStart = new Map<string, MetricSums>();
  const end = bucketStart(range.to, interval, firstDayOfWeek);
  for (let start = bucketStart(range.from, interval, firstDayOfWeek); start <= end; start = nextBucket(start, interval))
    byStart.set(start, zeroSums);
  for (const day of days) {
    const start = bucketStart(day.date, interval, firstDayOfWeek);
    const known = byStart.get(start);
    if (known && day.date >= range.from && day.date <= range.to) byStart.set(start, addSums(known, day));
  }
  return [...byStart].map(([start, sums]) => ({ start, sums }));
};

/** The calendar day of an instant in a time zone; a plain day is what it is in every zone. */
export const dayIn = (value: string, timeZone: string): string => {
  if (/^\d{4}-\d{2}-\d{2}$/.test(value)) return value;
  return new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(new Date(value));
};

export const isTimeZone = (name: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
};
