import { expect, it } from 'vitest';
import { envelopeSchema, eventTracked, makeEvent, parseEvent, type TrackedEvent } from './index.js';
import { isSurelyEnvelope, isSurelyTracked } from './surely-tracked.js';

const payload: TrackedEvent = {
  messageId: 'm-1',
  timestamp: '2026-03-31T23:59:59.999Z',
  userId: 'ann',
  anonymousId: null,
  event: 'page',
  sessionId: 's-1',
  page: '/shop',
  resource: null,
  properties: { price: 12.5, tags: ['a', null], deep: { a: { b: 1 } } },
  context: { device: 'mobile', browser: 'Chrome', utmCampaign: 'spring' },
  isBot: false,
};
const { envelope } = makeEvent(eventTracked, payload, { workspaceId: 'demo', correlationId: 'c-1' });

// Values at and beyond every limit, of every type, and texts that look like times and ids and are none.
const times = ['2026-02-29T00:00:00.000Z', '2028-02-29T00:00:00.000Z', '2026-04-31T10:00:00.000Z', '2026-01-31T24:00:00.000Z'];
const otherTimes = ['2026-01-31T10:00:00Z', '2026-01-31T10:00:00.000+02:00', '2026-13-01T10:00:00.000Z', '2026-12-31T23:59:60.000Z'];
const texts = ['', 'a', 'x'.repeat(256), 'x'.repeat(257), 'x'.repeat(2_048), 'x'.repeat(2_049), '../x', 'desktop', 'Desktop'];
const ids = ['01a205a6-3383-7cf2-8147-000001c8e68a', '01A205A6-3383-7CF2-8147-000001C8E68A', '01a205a6-3383-0cf2-8147-000001c8e68a'];
const objects = [
  {},
  [],
  { a: 1 },
  { device: 'tv' },
  { device: 'watch' },
  { ip: null },
  { other: 'x' },
  JSON.parse('{"__proto__":{"a":1}}'),
];
const values: readonly unknown[] = [...times, ...otherTimes, ...texts, ...ids, ...objects, null, true, 0, 1, 1.5, -1];

/** A copy with another value, without a key, or with one too many: one at every key in turn, and two at a time. */
const variants = (given: object): Record<string, unknown>[] => {
  const plain = given as Record<string, unknown>;
  const changes = [...Object.keys(plain), 'unknown', 'device'].flatMap((key) => [
    ({ [key]: _, ...rest }: Record<string, unknown>) => rest,
    ...values.map((value) => (each: Record<string, unknown>) => ({ ...each, [key]: value })),
  ]);
  const pairs = changes.map(
    (change, i) => (each: Record<string, unknown>) => change((changes[(i * 31 + 7) % changes.length] ?? change)(each)),
  );
  return [...changes, ...pairs].map((change) => change(plain));
};

// Broken by: a check that is laxer than its schema in any way, a key that no schema knows let through, a check that takes nothing.
it('takes only what the schema takes as it stands, and nearly all that comes', () => {
  expect(isSurelyTracked(payload)).toBe(true);
  expect(isSurelyEnvelope(envelope)).toBe(true);
  let taken = 0;
  for (const [check, schema, given] of [
    [isSurelyTracked, eventTracked.schema, payload],
    [isSurelyEnvelope, envelopeSchema, envelope],
    [isSurelyTracked, eventTracked.schema, { ...payload, context: {}, userId: null, anonymousId: 'a' }],
  ] as const) {
    const contexts = given === envelope ? [] : variants(payload.context).map((context) => ({ ...given, context }));
    for (const variant of [...variants(given), ...contexts, null, [], 'x', 1]) {
      if (!check(variant)) continue;
      taken += 1;
      expect(schema.safeParse(variant)).toEqual({ success: true, data: variant });
    }
  }
  expect(taken).toBeGreaterThan(200);
});

// Broken by: an event that passes by its schema because its envelope, its version or its payload alone is in order.
it('leaves the last word to the schema', () => {
  expect(parseEvent(envelope)).toEqual(envelope);
  expect(parseEvent({ ...envelope, more: 1, payload: { ...payload, more: 1 } })).toEqual(envelope);
  expect(() => parseEvent({ ...envelope, version: 2 })).toThrow('has version 1, not 2');
  expect(() => parseEvent({ ...envelope, payload: { ...payload, userId: null } })).toThrow('userId or anonymousId is needed');
  expect(() => parseEvent({ ...envelope, occurredAt: 'yesterday' })).toThrow(/Not an event envelope: occurredAt/);
});
