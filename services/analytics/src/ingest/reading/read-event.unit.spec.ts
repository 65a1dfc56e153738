import { type BusMessage, parseEvent, sessionStarted } from '@pca/contracts';
import { isDomainError } from '@pca/errors';
import { seededRandom } from '@pca/testing';
import { describe, expect, it } from 'vitest';
import { eventTypes, type Origin, readEvent } from './read-event.js';

const receivedAtMs = Date.parse('2026-03-01T12:00:00.000Z');
const origin: Origin = {
  workspaceId: 'demo',
  policy: { ipPolicy: 'DROP', ipSalt: Buffer.alloc(32, 7) },
  retentionDays: 365,
  receivedAtMs,
  sentAt: undefined,
  visitor: {},
  correlationId: 'request',
  traceparent: null,
};

/** The payload on the bus, as its consumers parse it. */
const read = (event: object, type: unknown, about: Partial<Origin> = {}): Record<string, unknown> => {
  const { message } = readEvent(event, type, { ...origin, ...about });
  expect(message).not.toBe('withheld');
  return parseEvent((message as BusMessage).envelope).payload as Record<string, unknown>;
};
const refusal = (event: object, type: unknown = 'track', about: Partial<Origin> = {}): unknown => {
  try {
    readEvent(event, type, { ...origin, ...about });
  } catch (error) {
    return error;
  }
  return 'taken';
};
const person = { userId: 'u', messageId: 'm' };

describe('the calls of the Segment spec', () => {
  // Broken by: another name, page or resource, or by storing twice what became a field of its own.
  it('become events of a timeline', () => {
    const properties = { resource: 'sku-1', price: 2, nested: { a: [1] } };
    expect(read({ ...person, event: 'Bought', properties }, 'track')).toMatchObject({
      event: 'Bought',
      page: null,
      resource: 'sku-1',
      properties: { price: 2, nested: { a: [1] } },
    });
    expect(properties).toHaveProperty('resource');
    expect(read({ ...person, name: 'Bought' }, 'track')).toMatchObject({ event: 'Bought', properties: {} });
    expect(read({ ...person, properties: { path: '/a', url: 'https://x.org/b' } }, 'page')).toMatchObject({
      event: 'page',
      page: '/a',
      properties: { url: 'https://x.org/b' },
    });
    expect(read({ ...person, name: 'Home', category: 'Docs', properties: { url: 'https://x.org?q' } }, 'page')).toMatchObject({
      page: '/',
      properties: { name: 'Home', category: 'Docs', url: 'https://x.org?q' },
    });
    expect(read({ ...person, name: 'Cart' }, 'screen')).toMatchObject({ event: 'screen', page: 'Cart' });
    expect(read({ ...person, groupId: 7, traits: { plan: 'pro' } }, 'group')).toMatchObject({
      event: 'group',
      properties: { groupId: '7', plan: 'pro' },
    });
    expect(read({ ...person, sessionId: 's' }, sessionStarted)).toMatchObject({ event: '$session_start', sessionId: 's' });
  });

  // Broken by: a page view that is known by its context alone, or a track call that is one, losing its page.
  it('find the page where it is', () => {
    const context = {
      page: { path: '/cart', url: 'https://x.org/cart', title: 'Cart', referrer: 'https://u:p@News.example.com:80/x', search: '' },
    };
    expect(read({ ...person, event: 'Added', context, properties: { title: 'mine' } }, 'track')).toMatchObject({
      page: '/cart',
      properties: { title: 'mine', url: 'https://x.org/cart', referrer: context.page.referrer },
      context: { referrerHost: 'news.example.com' },
    });
    expect(read({ ...person, event: 'page', properties: { path: '/p' } }, 'track')).toMatchObject({ event: 'page', page: '/p' });
    expect(read({ ...person, event: 'Read', properties: { path: '/etc/file' } }, 'track')).toMatchObject({
      page: null,
      properties: { path: '/etc/file' },
    });
    const long = `/${'p'.repeat(3_000)}`;
    expect(read({ ...person, properties: { path: long } }, 'page')).toMatchObject({ page: null, properties: { path: long } });
  });

  // Broken by: traits lost, or an alias that names nobody.
  it('make people known', () => {
    expect(read({ ...person, anonymousId: 'a', traits: { mail: 'x' } }, 'identify')).toMatchObject({
      userId: 'u',
      anonymousId: 'a',
      previousId: null,
      traits: { mail: 'x' },
    });
    expect(read({ ...person, previousId: 'a' }, 'alias')).toMatchObject({ userId: 'u', previousId: 'a' });
    expect(refusal({ ...person }, 'alias')).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(refusal({ anonymousId: 'u', previousId: 'a' }, 'alias')).toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  // Broken by: unknown keys that vanish, or transport keys (a key of ours among them) that are stored.
  it('keep what nobody here understands', () => {
    const event = { ...person, event: 'e', colour: 'red', writeKey: 'secret', integrations: { All: true }, _metadata: {} };
    const context = { library: { name: 'x' }, locale: 'de', traits: { a: 1 }, ip: '203.0.113.9' };
    expect(read({ ...event, context }, 'track')).toMatchObject({
      properties: { $extra: { colour: 'red' }, $context: { library: { name: 'x' }, traits: { a: 1 } } },
      context: { locale: 'de' },
    });
    expect(JSON.stringify(read({ ...event, context }, 'track'))).not.toMatch(/secret|203\.0|integrations/);
  });

  // Broken by: a person who said no and is stored all the same.
  it('are withheld without consent', () => {
    const refused = { consent: { categoryPreferences: { analytics: false } } };
    for (const context of [refused, { doNotTrack: true }]) {
      for (const type of eventTypes) {
        const event = { ...person, event: 'e', groupId: 'g', previousId: 'p', context };
        expect(readEvent(event, type, origin)).toEqual({ messageId: 'm', name: undefined, message: 'withheld' });
      }
    }
    expect(readEvent({ ...person, event: 'e', context: { doNotTrack: false, consent: 'x' } }, 'track', origin).message).not.toBe(
      'withheld',
    );
  });
});

describe('ids and names', () => {
  // Broken by: a number that is refused, or another id than the client's.
  it('are what the client says, numbers as they are written', () => {
    expect(read({ userId: 42, anonymousId: 'a', messageId: 9, sessionId: 5, event: 'e' }, 'track')).toMatchObject({
      userId: '42',
      messageId: '9',
      sessionId: '5',
    });
    expect(read({ userId: 'u', event: 'e' }, 'track')['messageId']).toMatch(/^[0-9a-f-]{36}$/);
    const [a, b] = [read({ userId: 'u', event: 'e' }, 'track'), read({ userId: 'u', event: 'e' }, 'track')];
    expect(a['messageId']).not.toBe(b['messageId']);
  });

  // Broken by: any of these reaching the bus, where it would be a dead letter or another id.
  it('are refused when they cannot be kept as they are', () => {
    const long = 'x'.repeat(257);
    const bad: object[] = [
      { event: 'e' },
      { userId: '', anonymousId: null, event: 'e' },
      { userId: {}, event: 'e' },
      { userId: long, event: 'e' },
      { userId: 'a\0', event: 'e' },
      { userId: 'u\ud800', event: 'e' },
      { userId: 'u', messageId: long, event: 'e' },
      { userId: 'u', sessionId: true, event: 'e' },
      { userId: 'u' },
      { userId: 'u', event: '' },
      { userId: 'u', event: 5 },
      { userId: 'u', event: long },
      { userId: 'u', event: '$session_start' },
      { userId: 'u', event: 'e', properties: [] },
      { userId: 'u', event: 'e', properties: 'x' },
      { userId: 'u', event: 'e', context: 'x' },
    ];
    for (const event of bad) expect(refusal(event), JSON.stringify(event).slice(0, 80)).toMatchObject({ code: 'BAD_USER_INPUT' });
    for (const type of [null, 'Track', '__proto__', 'sessionStarted']) {
      expect(refusal({ ...person, event: 'e' }, type)).toMatchObject({ code: 'BAD_USER_INPUT' });
    }
    for (const event of [null, [], 'x', 1]) expect(refusal(event as object)).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(refusal({ ...person }, 'group')).toMatchObject({ code: 'BAD_USER_INPUT' });
  });
});

describe('time', () => {
  const at = (event: object, about: Partial<Origin> = {}): unknown =>
    read({ ...person, event: 'e', ...event }, 'track', about)['timestamp'];

  // Broken by: correcting a clock that is right, or by the wrong sign.
  it('is corrected by how far off the clock was when it was sent', () => {
    expect(at({})).toBe('2026-03-01T12:00:00.000Z');
    expect(at({ timestamp: '2026-03-01T11:00:00Z' })).toBe('2026-03-01T11:00:00.000Z');
    expect(at({ timestamp: '2026-03-01T11:00:00+02:00' })).toBe('2026-03-01T09:00:00.000Z');
    expect(at({ timestamp: '2026-03-01 11:00:00.5' })).toBe('2026-03-01T11:00:00.500Z');
    // Five seconds are the way of a request; more is a clock.
    expect(at({ timestamp: '2026-03-01T11:00:00Z', sentAt: '2026-03-01T11:59:55Z' })).toBe('2026-03-01T11:00:00.000Z');
    expect(at({ timestamp: '2026-03-01T11:00:00Z', sentAt: '2026-03-01T11:50:00Z' })).toBe('2026-03-01T11:10:00.000Z');
    expect(at({ timestamp: '2026-03-01T13:00:00Z' }, { sentAt: '2026-03-01T14:00:00Z' })).toBe('2026-03-01T11:00:00.000Z');
    // An event's own says more than its batch's.
    const own = { timestamp: '2026-03-01T11:00:00Z', sentAt: '2026-03-01T12:00:00Z' };
    expect(at(own, { sentAt: '2026-03-01T14:00:00Z' })).toBe('2026-03-01T11:00:00.000Z');
  });

  // Broken by: events of 1970 or 2100, by what is no instant, or by a clock that is right only once it is corrected.
  it('lies within what the workspace keeps', () => {
    for (const timestamp of ['1970-01-01T00:00:00Z', '2100-01-01T00:00:00Z', '2025-02-28T11:59:59Z', '2026-03-02T12:00:01Z']) {
      expect(refusal({ ...person, event: 'e', timestamp }), timestamp).toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining('365') as string,
      });
    }
    for (const timestamp of ['yesterday', '', 17, '2026-13-01T00:00:00Z', '+275760-09-13T00:00:00Z', {}]) {
      expect(refusal({ ...person, event: 'e', timestamp }), String(timestamp)).toMatchObject({ code: 'BAD_USER_INPUT' });
    }
    expect(refusal({ ...person, event: 'e', timestamp: '2026-03-01T11:00:00Z', sentAt: 'now' })).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(at({ timestamp: '2030-01-01T00:00:00Z', sentAt: '2030-01-01T01:00:00Z' })).toBe('2026-03-01T11:00:00.000Z');
  });
});

// Broken by: any event that ingest takes and its own contract refuses, because it is published unchecked.
it('publishes nothing that its consumers would give up', () => {
  const random = seededRandom('readEvent');
  const texts = [
    '',
    'x',
    '/a?b',
    'https://a.org/ü',
    'é'.repeat(300),
    'z'.repeat(2_100),
    '\ud800',
    'a\0b',
    '2026-02-01T00:00:00Z',
    '10.0.0.1',
    'Mozilla/5.0 (X11; Linux) Chrome/1',
  ];
  const value = (depth: number): unknown => {
    const kind = random.int(depth > 0 ? 8 : 5);
    if (kind < 2) return random.pick(texts);
    if (kind === 2) return random.pick([0, -1, 1e300, 5]);
    if (kind === 3) return random.pick([null, true, false]);
    if (kind === 4) return undefined;
    if (kind === 5) return Array.from({ length: random.int(3) }, () => value(depth - 1));
    return object(depth - 1, ['path', 'url', 'resource', 'title', 'name', 'source', 'referrer', 'analytics', 'type', 'country']);
  };
  const object = (depth: number, keys: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(keys.filter(() => random.int(2) === 0).map((key) => [key, value(depth)]));
  const published: string[] = [];
  for (let n = 0; n < 5_000; n += 1) {
    const event = {
      ...object(0, ['event', 'name', 'groupId', 'previousId', 'sessionId', 'timestamp', 'sentAt', 'category', 'odd']),
      userId: random.pick(['u', 7, undefined, 'é'.repeat(256)]),
      anonymousId: random.pick(['a', undefined]),
      ...object(3, ['properties', 'traits']),
      context: object(2, [
        'page',
        'campaign',
        'locale',
        'timezone',
        'ip',
        'userAgent',
        'consent',
        'os',
        'device',
        'browser',
        'location',
        'library',
      ]),
    };
    try {
      const { message } = readEvent(event, random.pick(eventTypes), {
        ...origin,
        policy: { ipPolicy: random.pick(['TRUNCATE', 'HASH']), ipSalt: Buffer.alloc(32) },
      });
      if (message === 'withheld') continue;
      published.push(JSON.stringify(message.envelope));
    } catch (error) {
      if (!isDomainError(error)) throw error;
    }
  }
  for (const text of published) parseEvent(JSON.parse(text));
  expect(published.length).toBeGreaterThan(500);
});
