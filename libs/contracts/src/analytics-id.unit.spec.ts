import { expect, it } from 'vitest';
import { type AnalyticsRange, decodeAnalyticsId, encodeAnalyticsId } from './analytics-id.js';

const range: AnalyticsRange = {
  from: '2026-03-01',
  to: '2026-03-31',
  platform: 'Google',
  currency: 'EUR',
  interval: 'DAY',
  timeZone: 'Europe/Berlin',
};

// Broken by: an encoding that loses a field, or that another version of a subgraph reads otherwise.
it('gives back what was put in, in an id that stays the same over versions', () => {
  expect(decodeAnalyticsId(encodeAnalyticsId(range))).toEqual(range);
  expect(decodeAnalyticsId(encodeAnalyticsId({ ...range, platform: null }))).toEqual({ ...range, platform: null });
  expect(encodeAnalyticsId(range)).toBe(
    Buffer.from(
      '{"from":"2026-03-01","to":"2026-03-31","platform":"Google","currency":"EUR","interval":"DAY","timeZone":"Europe/Berlin"}',
    ).toString('base64url'),
  );
});

// Broken by: a decoder that trusts what a client sends.
it('refuses what is no id', () => {
  const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const id of [
    '',
    'nonsense',
    json(null),
    json([]),
    json({ ...range, from: 'yesterday' }),
    json({ ...range, interval: 'HOUR' }),
    'x'.repeat(3_000),
  ])
    expect(() => decodeAnalyticsId(id), id.slice(0, 40)).toThrow('This is no id of an Analytics');
});
