import { describe, expect, it } from 'vitest';
import { keptAddress } from './address-policy.js';
import { readContext } from './event-context.js';
import { userAgentOf } from './user-agent.js';

const chrome = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36';
const iphone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';
const ipad =
  'Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.0 Mobile/15E148 Safari/604.1';
const googlebot = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';
const salt = Buffer.alloc(32, 1);
const drop = { ipPolicy: 'DROP', ipSalt: salt } as const;

describe('user agents', () => {
  // Broken by: versions in a family, which would make as many contexts as there are releases.
  it('become families', () => {
    expect(userAgentOf(chrome)).toEqual({ device: 'desktop', browser: 'Chrome', os: 'Windows', isBot: false });
    expect(userAgentOf(iphone)).toEqual({ device: 'mobile', browser: 'Safari', os: 'iOS', isBot: false });
    expect(userAgentOf(ipad)).toMatchObject({ device: 'tablet' });
    expect(userAgentOf(googlebot)).toMatchObject({ isBot: true });
    expect(userAgentOf('')).toMatchObject({ device: 'other' });
    expect(userAgentOf('x'.repeat(100_000))).toMatchObject({ device: 'other' });
  });

  // Broken by: a guess at a name, which is the client's own text: longer than a contract allows, and another context for each of them.
  it('name nobody that is not known', () => {
    for (const text of [`${'a'.repeat(400)}/1.0 x`, 'my-very-own-7f3a/1.0', `Mozilla/5.0 (${'z'.repeat(300)})`]) {
      const { context } = readContext({ userAgent: text }, {}, drop);
      expect(context).toMatchObject({ device: 'other' });
      expect([context.browser, context.os]).toEqual([undefined, undefined]);
    }
  });

  // Broken by: taking the agent of a server's own request for the visitor's, or keeping the text.
  it("are the context's own, else those of a browser that sends", () => {
    const visitor = { userAgent: iphone, address: '203.0.113.9' };
    expect(readContext({ userAgent: chrome }, visitor, drop)).toMatchObject({
      context: { browser: 'Chrome' },
      isBot: false,
      rest: undefined,
    });
    expect(readContext({}, visitor, drop)).toMatchObject({ context: { device: 'mobile' } });
    expect(readContext({ userAgent: 5 }, {}, drop).context.device).toBeUndefined();
    expect(readContext({}, { userAgent: googlebot }, drop).isBot).toBe(true);
    expect(JSON.stringify(readContext({ userAgent: chrome }, visitor, drop))).not.toContain('Mozilla');
  });
});

// Broken by: an address in full, a network of another width, or a hash that anybody can compute or that changes.
it('keeps of an address what the policy says', () => {
  const kept = (address: unknown, ipPolicy: 'DROP' | 'TRUNCATE' | 'HASH', ipSalt = salt): unknown =>
    keptAddress(address, { ipPolicy, ipSalt });
  expect(kept('203.0.113.9', 'DROP')).toBeUndefined();
  expect(kept('203.0.113.9', 'TRUNCATE')).toBe('203.0.113.0');
  expect(kept('::ffff:203.0.113.9', 'TRUNCATE')).toBe('203.0.113.0');
  expect(kept('2001:db8:1:2:3:4:5:6', 'TRUNCATE')).toBe('2001:db8:1::');
  const hashed = kept('203.0.113.9', 'HASH');
  expect(hashed).toMatch(/^[A-Za-z0-9_-]{22}$/);
  expect([kept('::ffff:203.0.113.9', 'HASH'), kept('203.0.113.9', 'HASH', Buffer.alloc(32, 2)) === hashed]).toEqual([hashed, false]);
  expect(kept('2001:DB8::1', 'HASH')).toBe(kept('2001:db8:0:0:0:0:0:1', 'HASH'));
  for (const address of ['', 'localhost', '1.2.3', '300.1.1.1', null, 7, '203.0.113.9, 10.0.0.1', 'fe80::1%eth0x']) {
    for (const policy of ['TRUNCATE', 'HASH'] as const) expect(String(kept(address, policy))).not.toContain('1.1');
  }
  expect(readContext({ ip: '198.51.100.7' }, { address: '203.0.113.9' }, { ipPolicy: 'TRUNCATE', ipSalt: salt }).context.ip).toBe(
    '198.51.100.0',
  );
});

// Broken by: a key of Segment's that is taken for nothing, or one of the wrong type that is taken.
it('reads campaign, place and language', () => {
  const given = {
    campaign: { name: 'spring', source: 'google', medium: 'cpc', term: 't', content: 'c' },
    locale: 'de-CH',
    timezone: 'Europe/Zurich',
    location: { country: 'CH' },
    os: { name: 'iOS', version: '17' },
    device: { type: 'ios', model: 'x' },
  };
  expect(readContext(given, {}, drop).context).toMatchObject({
    utmCampaign: 'spring',
    utmSource: 'google',
    utmMedium: 'cpc',
    utmTerm: 't',
    utmContent: 'c',
    locale: 'de-CH',
    timeZone: 'Europe/Zurich',
    country: 'CH',
    os: 'iOS',
    device: 'mobile',
  });
  const odd = { campaign: [], locale: 5, timezone: {}, location: 'x', page: 'y', os: null };
  expect(Object.values(readContext(odd, {}, drop).context).filter((value) => value !== undefined)).toEqual([]);
  expect(readContext({ locale: 'x'.repeat(300) }, {}, drop).context.locale).toHaveLength(256);
});
