import { DomainError } from '@pca/errors';
import { parseInput } from '@pca/service-kit';
import { z } from 'zod';

const yearMin = 1970;
const yearMax = 2100;
const withinYears = (text: string): boolean => Number(text.slice(0, 4)) >= yearMin && Number(text.slice(0, 4)) <= yearMax;

const dayOrInstantSchema = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], { error: 'must be a day (YYYY-MM-DD) or an ISO 8601 instant' })
  .refine(withinYears, `must lie in the years ${yearMin} to ${yearMax}`);

const rangeSchema = z.object({ from: dayOrInstantSchema.nullish(), to: dayOrInstantSchema.nullish() });

export const isTimeZone = (name: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
};

/** Days or instants, both inclusive; what is absent is open. */
export interface GivenRange {
  readonly from?: string | null | undefined;
  readonly to?: string | null | undefined;
}

/** Instants as Postgres reads them: `from` is in, `until` is not; infinite where nothing is said. */
export interface TimeRange {
  readonly from: string;
  readonly until: string;
}

/** Throws BAD_USER_INPUT when a bound is no day or instant of the years 1970 to 2100, or the range is reversed. */
export const timeRangeOf = (given: GivenRange, timeZone: string): TimeRange => {
  const { from, to } = parseInput(rangeSchema, { from: given.from, to: given.to });
  const start = from == null ? undefined : isDay(from) ? startOfDay(from, timeZone) : Date.parse(from);
  // The last millisecond is in: instants of clients are no finer than that.
  const end = to == null ? undefined : isDay(to) ? startOfDay(nextDay(to), timeZone) : Date.parse(to) + 1;
  // Days are compared as such: a place may have skipped one, which then is empty and not reversed.
  const isReversed = from != null && to != null && (isDay(from) && isDay(to) ? from > to : Number(start) >= Number(end));
  if (isReversed) throw new DomainError('BAD_USER_INPUT', 'from must not lie after to', { from, to });
  return { from: instantOf(start) ?? '-infinity', until: instantOf(end) ?? 'infinity' };
};

/** The range with so much more on either side. */
export const widened = ({ from, until }: TimeRange, ms: number): TimeRange => ({
  from: from === '-infinity' ? from : (instantOf(Date.parse(from) - ms) as string),
  until: until === 'infinity' ? until : (instantOf(Date.parse(until) + ms) as string),
});

const isDay = (text: string): boolean => /^\d{4}-\d{2}-\d{2}$/.test(text);
const instantOf = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : new Date(ms).toISOString());

const dayMs = 86_400_000;
const nextDay = (day: string): string => new Date(Date.parse(`${day}T00:00:00Z`) + dayMs).toISOString().slice(0, 10);

/**
 * First instant of a calendar day in a time zone, milliseconds since 1970: found by halving, because a day may begin at one o'clock, or have
 * its midnight twice.
 */
export const startOfDay = (day: string, timeZone: string): number => {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  const midnight = Date.parse(`${day}T00:00:00Z`);
  let before = midnight - dayMs;
  let after = midnight + dayMs;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (format.format(middle) < day) before = middle;
    else after = middle;
  }
  return after;
};

/** The zone as Postgres knows it, which reads offsets by the sign of POSIX (`+02:00` lies west of Greenwich there) and wants their colon. */
export const postgresZone = (timeZone: string): string =>
  timeZone.replace(
    /^([+-])(\d\d):?(\d\d)?$/,
    (_whole, sign: string, hours: string, minutes = '00') => `${sign === '+' ? '-' : '+'}${hours}:${minutes}`,
  );
