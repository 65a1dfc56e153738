import { seededRandom } from '@pca/testing';
import { expect, it } from 'vitest';
import { postgresZone, startOfDay, timeRangeOf, widened } from './time-range.js';

const dayIn = (ms: number, timeZone: string): string =>
  new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(ms);

// Broken by: days of 24 hours, a zone's offset taken at the wrong end of the day.
it('begins a day at its first instant, in any zone and over changes of the clock', () => {
  const random = seededRandom('starts of days');
  const zones = [
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'America/Havana',
    'Asia/Beirut',
    'Pacific/Kiritimati',
    '+05:30',
  ];
  for (let run = 0; run < 400; run++) {
    const timeZone = random.pick(zones);
    const day = new Date(Date.UTC(2020 + random.int(7), random.int(12), 1 + random.int(28))).toISOString().slice(0, 10);
    const start = startOfDay(day, timeZone);
    expect([dayIn(start, timeZone), dayIn(start - 1, timeZone) < day], `${day} in ${timeZone}`).toEqual([day, true]);
  }
  expect(new Date(startOfDay('2026-03-29', 'Europe/Berlin')).toISOString()).toBe('2026-03-28T23:00:00.000Z');
  expect(new Date(startOfDay('2026-03-29', 'Asia/Beirut')).toISOString()).toBe('2026-03-28T22:00:00.000Z');
});

// Broken by: a last day or instant that is left out, a bound made up where none was given.
it('has both its ends in, as days or as instants, and is open where nothing is said', () => {
  expect(timeRangeOf({ from: '2026-10-25', to: '2026-10-25' }, 'Europe/Berlin')).toEqual({
    from: '2026-10-24T22:00:00.000Z',
    until: '2026-10-25T23:00:00.000Z',
  });
  expect(timeRangeOf({ from: '2026-10-25T10:00:00+02:00', to: '2026-10-25T08:00:00Z' }, 'UTC')).toEqual({
    from: '2026-10-25T08:00:00.000Z',
    until: '2026-10-25T08:00:00.001Z',
  });
  expect(timeRangeOf({}, 'UTC')).toEqual({ from: '-infinity', until: 'infinity' });
  expect(timeRangeOf({ from: '2011-12-30', to: '2011-12-30' }, 'Pacific/Apia')).toEqual({
    from: '2011-12-30T10:00:00.000Z',
    until: '2011-12-30T10:00:00.000Z',
  });
  expect(widened(timeRangeOf({ to: '2026-01-01' }, 'UTC'), 3_600_000)).toEqual({ from: '-infinity', until: '2026-01-02T01:00:00.000Z' });
});

// Broken by: a reversed range answered with nothing, as if nobody had done anything.
it('refuses a range that is reversed', () => {
  expect(() => timeRangeOf({ from: '2026-02-02', to: '2026-02-01' }, 'UTC')).toThrow('from must not lie after to');
  expect(() => timeRangeOf({ from: '2026-02-02T00:00:00Z', to: '2026-02-01' }, 'Asia/Tokyo')).toThrow('from must not lie after to');
});

// Broken by: handing an offset to Postgres as it is.
it('turns the sign of an offset for Postgres, and leaves names alone', () => {
  const zones = ['+02:00', '-0330', '+05', 'Europe/Berlin', 'Etc/GMT+2'];
  expect(zones.map(postgresZone)).toEqual(['-02:00', '+03:30', '-05:00', 'Europe/Berlin', 'Etc/GMT+2']);
});
