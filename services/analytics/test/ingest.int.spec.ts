import { isDeepStrictEqual } from 'node:util';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { DomainError } from '@pca/errors';
import { seams } from '@pca/service-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type IngestUnderTest, startIngest } from './ingest-under-test.js';

let sut: IngestUnderTest;
let key: string;
beforeAll(async () => {
  sut = await startIngest();
  key = (await sut.ingestKey()).key;
});
afterAll(() => sut.stop());

const post = (path: string, body: unknown, headers: Record<string, string> = {}, bearer: string | undefined = key): Promise<Response> =>
  sut.service.rest(bearer, 'POST', path, body, headers);
/** Status, and the whole answer. */
const answer = async (response: Promise<Response>): Promise<[number, Record<string, unknown>]> => {
  const { status, ...rest } = await response.then(async (r) => ({ status: r.status, body: (await r.json()) as Record<string, unknown> }));
  return [status, rest.body];
};
const code = async (response: Promise<Response>): Promise<[number, unknown]> => {
  const [status, body] = await answer(response);
  return [status, body['code']];
};
let made = 0;
const event = (more: object = {}): Record<string, unknown> => ({ event: 'Bought', userId: 'u', messageId: `made-${(made += 1)}`, ...more });
const errorOf = async (items: readonly unknown[]): Promise<unknown[]> => {
  const [status, { accepted, errors }] = await answer(post('/v1/batch', { batch: items }));
  expect([status, accepted]).toEqual([202, items.length - (errors as unknown[]).length]);
  return (errors as { index: number; code: string }[]).map(({ index, code: said }) => [index, said]);
};

describe('the calls', () => {
  // Broken by: answering before the bus has it, or by a call that is routed as another one.
  it('take one event each, which is on the bus when they are answered', async () => {
    const calls: Record<string, [body: object, published: object]> = {
      track: [{ event: 'Bought' }, { event: 'Bought' }],
      page: [{ properties: { path: '/a' } }, { event: 'page', page: '/a' }],
      screen: [{ name: 'Cart' }, { event: 'screen', page: 'Cart' }],
      group: [{ groupId: 'g' }, { event: 'group', properties: { groupId: 'g' } }],
      identify: [
        { anonymousId: 'a', traits: { plan: 'pro' } },
        { anonymousId: 'a', traits: { plan: 'pro' } },
      ],
      alias: [{ previousId: 'old' }, { previousId: 'old' }],
    };
    for (const [call, [body]] of Object.entries(calls)) {
      const response = post(`/v1/${call}`, { ...body, userId: 'u1', messageId: `call-${call}` });
      expect(await answer(response), call).toEqual([202, { accepted: 1, errors: [] }]);
    }
    const published = await sut.published();
    for (const [call, [, payload]] of Object.entries(calls)) {
      const type = call === 'identify' || call === 'alias' ? 'behaviour.user-identified.v1' : 'behaviour.event-tracked.v1';
      expect(published.get(`call-${call}`), call).toMatchObject([{ type, workspaceId: 'demo', producer: 'analytics', payload }]);
    }
  });

  // Broken by: losing the good ones beside a bad one, or naming the wrong one.
  it('take a batch: what is fine is taken, what is not is told apart', async () => {
    const batch = [
      { type: 'track', ...event({ messageId: 'b1' }) },
      { type: 'nothing', userId: 'u1', messageId: 'b2' },
      { type: 'page', anonymousId: 'a1', messageId: 'b3', properties: { url: 'https://example.org/pricing?x=1' } },
      null,
    ];
    expect(await answer(post('/v1/batch', { batch }))).toEqual([
      202,
      {
        accepted: 2,
        errors: [
          { index: 1, messageId: 'b2', code: 'BAD_USER_INPUT', message: expect.stringContaining('type is one of') as string },
          { index: 3, messageId: null, code: 'BAD_USER_INPUT', message: expect.any(String) as string },
        ],
      },
    ]);
    const published = await sut.published();
    expect(['b1', 'b2', 'b3'].map((id) => published.get(id)?.length)).toEqual([1, undefined, 1]);
    expect(await answer(post('/v1/batch', { batch: [] }))).toEqual([202, { accepted: 0, errors: [] }]);
  });

  // Broken by: another messageId for the same event, by which it would count twice, or a repeat that is refused.
  it('take a batch again, under the same ids', async () => {
    const ids = Array.from({ length: 20 }, (_, n) => `again-${n}`);
    const batch = ids.map((messageId) => ({ type: 'track', ...event({ messageId }) }));
    for (let n = 0; n < 2; n += 1) expect((await answer(post('/v1/batch', { batch })))[1]).toMatchObject({ accepted: 20 });
    const published = await sut.published();
    for (const messageId of ids) {
      const payloads = published.get(messageId)?.map(({ payload }) => ({ ...payload, timestamp: null })) ?? [];
      expect([payloads.length, isDeepStrictEqual(payloads[0], payloads[1])]).toEqual([2, true]);
    }
  });

  // Broken by: storing what a person forbade, or telling the client that it failed, who would send it again for ever.
  it('take what was not consented to, and keep it nowhere', async () => {
    const context = { consent: { categoryPreferences: { analytics: false } } };
    expect(await answer(post('/v1/track', event({ messageId: 'no', context })))).toEqual([202, { accepted: 1, errors: [] }]);
    expect(await errorOf([{ type: 'page', ...event({ messageId: 'no', context: { doNotTrack: true } }) }])).toEqual([]);
    // A batch says it for all of its events, but for those that say otherwise.
    const said = [event({ messageId: 'no' }), event({ messageId: 'yes', context: { doNotTrack: false } })].map((each) => ({
      type: 'track',
      ...each,
    }));
    expect((await answer(post('/v1/batch', { batch: said, context: { doNotTrack: true } })))[1]).toEqual({ accepted: 2, errors: [] });
    expect([(await sut.published()).has('no'), (await sut.published()).has('yes')]).toEqual([false, true]);
    const large = { padding: 'x'.repeat(40_000) };
    expect((await answer(post('/v1/batch', { batch: said, context: large })))[0]).toBe(413);
    const metrics = await (await fetch(`${sut.service.url}/metrics`)).text();
    expect(metrics).toMatch(/pca_ingest_events_total\{outcome="withheld".*\} 3/);
  });

  // Broken by: an address in full on the bus, or by a server's own agent and address taken for a visitor's.
  it('keep of a browser what it is, and of its address what the workspace allows', async () => {
    await sut.database.pool.query(`insert into workspace (id, ip_policy) values ('truncating', 'TRUNCATE'), ('hashing', 'HASH')`);
    const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0';
    const browser = { origin: 'https://shop.example.org', 'user-agent': agent, 'x-forwarded-for': '203.0.113.77' };
    for (const workspace of ['demo', 'truncating', 'hashing']) {
      const own = (await sut.ingestKey(workspace)).key;
      await post('/v1/track', event({ messageId: `from ${workspace}` }), browser, own);
      await post('/v1/track', event({ messageId: `server of ${workspace}` }), { ...browser, origin: '' }, own);
    }
    const { origin: _origin, ...server } = browser;
    await post('/v1/track', event({ messageId: 'from a server' }), server);
    const published = await sut.published();
    const contextOf = (id: string): unknown => published.get(id)?.[0]?.payload['context'];
    expect(contextOf('from demo')).toEqual({ device: 'desktop', browser: 'Firefox', os: 'Linux' });
    expect(contextOf('from truncating')).toMatchObject({ ip: '203.0.113.0' });
    expect(contextOf('from hashing')).toMatchObject({ ip: expect.stringMatching(/^[\w-]{22}$/) as string });
    expect(contextOf('from a server')).toEqual({});
    expect(JSON.stringify([...published.values()])).not.toMatch(/203\.0\.113\.77|Mozilla/);
  });
});

describe('the key', () => {
  // Broken by: a place where Segment's libraries or a beacon put it that is not looked at.
  it('is a basic-auth user, a bearer, or writeKey in the body, also of a beacon', async () => {
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    const plain = { 'content-type': 'text/plain;charset=UTF-8' };
    const tried = [
      sut.service.rest(undefined, 'POST', '/v1/track', event(), basic(`${key}:`)),
      sut.service.rest(undefined, 'POST', '/v1/track', event(), basic(`${key}:anything`)),
      sut.service.rest(undefined, 'POST', '/v1/track', event(), { authorization: `bearer ${key}` }),
      sut.service.rest(undefined, 'POST', '/v1/track', event({ writeKey: key })),
      sut.service.rest(undefined, 'POST', '/v1/batch', { batch: [{ type: 'track', ...event() }], writeKey: key }),
      sut.service.rest(undefined, 'POST', '/v1/page', JSON.stringify(event({ writeKey: key, messageId: 'beacon' })), plain),
    ];
    for (const response of tried) expect((await answer(response))[0]).toBe(202);
    expect(JSON.stringify((await sut.published()).get('beacon'))).not.toContain(key);
  });

  // Broken by: anything but a live key that opens the door, or a body that is read before the key is known.
  it('is refused when it is absent, wrong, or something else', async () => {
    const wrong = `pca_wk_${'x'.repeat(32)}`;
    const owner = await sut.token('owner');
    const tried = [undefined, wrong, owner, key.slice(0, -1), `${key}x`, key.toUpperCase(), 'pca_wk_', `${key}'--`];
    for (const bearer of tried) {
      const response = await sut.service.rest(bearer, 'POST', '/v1/track', event({ messageId: 'refused' }));
      expect([response.status, ((await response.json()) as { code: string }).code], bearer).toEqual([401, 'UNAUTHENTICATED']);
      expect(response.headers.get('content-type')).toContain('application/problem+json');
    }
    for (const writeKey of [wrong, 5, null, { a: 1 }, [key]]) {
      expect(await code(sut.service.rest(undefined, 'POST', '/v1/batch', { batch: [], writeKey }))).toEqual([401, 'UNAUTHENTICATED']);
    }
    expect(await code(post('/v1/batch', 'no json', { 'content-type': 'text/plain' }, wrong))).toEqual([401, 'UNAUTHENTICATED']);
    expect((await sut.published()).has('refused')).toBe(false);
  });

  // Broken by: a way around the seam, by which experiments would pass over the ingest.
  it('is asked for behind the seam of what comes in', async () => {
    const remove = seams.inbound.use(() => {
      throw new DomainError('SERVICE_UNAVAILABLE', 'A fault on purpose');
    });
    expect(await code(post('/v1/track', event(), {}, 'wrong'))).toEqual([503, 'SERVICE_UNAVAILABLE']);
    remove();
  });

  // Broken by: events of a key in another workspace than its own, whatever the body says, or a key that reads.
  it('opens its own workspace for writing, and nothing else', async () => {
    const foreign = await sut.ingestKey('foreign');
    await post('/v1/track', event({ messageId: 'foreign', workspaceId: 'demo', workspace: 'demo' }), {}, foreign.key);
    expect((await sut.published()).get('foreign')).toMatchObject([{ workspaceId: 'foreign' }]);
    const { errors } = await sut.service.graphql(key, '{ ingestKeys { id } }');
    expect(errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });
});

describe('limits', () => {
  const depth = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  const json = { 'content-type': 'application/json' };

  // Broken by: any of these taken, or refused together with the good one beside them.
  it('of an event are its own', async () => {
    const good = { type: 'track', ...event({ messageId: 'beside the bad' }) };
    const bad = (properties: object, code = 'BAD_USER_INPUT'): [object, string] => [{ type: 'track', ...event({ properties }) }, code];
    const keys = Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`k${n}`, n]));
    const items: [object, string | undefined][] = [
      bad(keys),
      bad({ a: keys }),
      bad({ text: 'x'.repeat(40_000) }, 'PAYLOAD_TOO_LARGE'),
      bad(JSON.parse(depth(9)) as object),
      bad(JSON.parse(depth(1_000)) as object),
      [{ type: 'track', ...event({ timestamp: '1970-01-01T00:00:00Z' }) }, 'BAD_USER_INPUT'],
      [{ type: 'track', ...event({ timestamp: '2100-01-01T00:00:00Z' }) }, 'BAD_USER_INPUT'],
      [{ type: 'track', ...event({ event: '$mine' }) }, 'BAD_USER_INPUT'],
      [{ type: 'track', ...event({ userId: 'x'.repeat(257) }) }, 'BAD_USER_INPUT'],
      [good, undefined],
    ];
    expect(await errorOf(items.map(([item]) => item))).toEqual(items.flatMap(([, said], n) => (said ? [[n, said]] : [])));
    expect((await sut.published()).get('beside the bad')).toHaveLength(1);
  });

  // Broken by: a single call whose event is bad and that says 202, or a code that is not the event's.
  it('of the event of a single call are those of the call', async () => {
    expect(await code(post('/v1/track', event({ properties: { text: 'x'.repeat(40_000) } })))).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    const [status, body] = await answer(post('/v1/track', event({ event: undefined, messageId: 'nameless' })));
    expect([status, body]).toMatchObject([400, { code: 'BAD_USER_INPUT', messageId: 'nameless' }]);
    const deep = `{"userId":"u","event":"e","properties":${depth(80_000)}}`;
    expect(await code(post('/v1/track', deep, json))).toEqual([400, 'BAD_USER_INPUT']);
  });

  // Broken by: a body that fills the memory, or one that is no JSON of ours and ends in a 500.
  it('of a request refuse it whole', async () => {
    const many = Array.from({ length: 1_001 }, () => ({}));
    expect(await code(post('/v1/batch', { batch: many }))).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    expect(
      await code(post('/v1/batch', { batch: [{ type: 'track', ...event({ properties: { text: 'x'.repeat(1_000_000) } }) }] })),
    ).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    expect(await code(post('/v1/batch', `{"batch":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, json))).toEqual([202, undefined]);
    for (const body of ['', '{', 'null', '[]', '"x"', '{"batch":{}}', '{"batch":null}', '{}']) {
      const [status, said] = await code(post('/v1/batch', body, json));
      expect([400, ['BAD_REQUEST', 'BAD_USER_INPUT'].includes(String(said))], body).toEqual([status, true]);
    }
    for (const type of ['application/x-www-form-urlencoded', 'text/html']) {
      expect(await code(post('/v1/track', 'a=b', { 'content-type': type }))).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    }
  });

  // Broken by: names without end, which every count by name would have to hold, or by known names that are refused with the new ones.
  it('of the event names of a workspace hold for new ones alone', async () => {
    const full = (await sut.ingestKey('full')).key;
    const sendNamed = async (names: readonly string[]): Promise<string[]> => {
      const batch = names.map((name) => ({ type: 'track', ...event({ event: name }) }));
      const [, { errors }] = await answer(post('/v1/batch', { batch }, {}, full));
      return (errors as { code: string }[]).map(({ code: said }) => said);
    };
    for (let n = 0; n < 10; n += 1) expect(await sendNamed(Array.from({ length: 1_000 }, (_, i) => `name ${n}.${i}`))).toEqual([]);
    expect(await sendNamed(['one more', 'name 9.999', 'another'])).toEqual(['TOO_MANY_EVENT_NAMES', 'TOO_MANY_EVENT_NAMES']);
  });
});

describe('a compressed body', () => {
  const send = (call: string, encoding: string, body: Buffer, bearer: string | undefined = key): Promise<Response> =>
    sut.service.rest(bearer, 'POST', `/v1/${call}`, body, { 'content-type': 'application/json', 'content-encoding': encoding });
  const trackOf = (more: object): Buffer => Buffer.from(JSON.stringify(event(more)));

  // Broken by: an encoding that is not undone, a key that is looked for in the header alone, or a limit that is counted before it is undone.
  it('is taken as if it were none, with the key in the header or in itself', async () => {
    const compress = {
      gzip: gzipSync,
      deflate: deflateSync,
      br: brotliCompressSync,
      zstd: zstdCompressSync,
      identity: (body: Buffer) => body,
    };
    for (const [encoding, encode] of Object.entries(compress)) {
      const ids = Array.from({ length: 300 }, (_, n) => `${encoding}-${n}`);
      const batch = ids.map((messageId) => ({ type: 'track', ...event({ messageId, properties: { text: 'ü'.repeat(200) } }) }));
      const sent = encode(Buffer.from(JSON.stringify({ batch })));
      expect(await answer(send('batch', encoding, sent)), encoding).toEqual([202, { accepted: 300, errors: [] }]);
      const keyed = encode(trackOf({ writeKey: key, messageId: `${encoding} keyed` }));
      expect(await answer(send('track', encoding, keyed, '')), encoding).toEqual([202, { accepted: 1, errors: [] }]);
      const published = await sut.published();
      expect(
        ids.every((id) => published.get(id)?.length === 1 && published.has(`${encoding} keyed`)),
        encoding,
      ).toBe(true);
    }
  });

  // Broken by: a body that is decompressed for whoever asks, or a refusal that says something else than what is wrong.
  it('is refused for what is wrong with it, and not before its key', async () => {
    const good = gzipSync(trackOf({ messageId: 'never taken' }));
    const wrongSum = Buffer.from(good);
    wrongSum.writeUInt32LE(wrongSum.readUInt32LE(good.length - 8) ^ 1, good.length - 8);
    const refused: [encoding: string, body: Buffer, status: number, code: string][] = [
      ['gzip', good.subarray(0, -1), 400, 'BAD_USER_INPUT'],
      ['gzip', wrongSum, 400, 'BAD_USER_INPUT'],
      ['gzip', trackOf({}), 400, 'BAD_USER_INPUT'],
      ['gzip', Buffer.alloc(0), 400, 'BAD_USER_INPUT'],
      ['gzip', gzipSync(good), 400, 'BAD_REQUEST'],
      ['gzip, gzip', gzipSync(good), 415, 'UNSUPPORTED_MEDIA_TYPE'],
      ['compress', good, 415, 'UNSUPPORTED_MEDIA_TYPE'],
      ['gzip', gzipSync(Buffer.alloc(600_000, ' ')), 413, 'PAYLOAD_TOO_LARGE'],
      ['gzip', Buffer.alloc(600_000), 413, 'PAYLOAD_TOO_LARGE'],
    ];
    for (const [encoding, body, ...said] of refused) expect(await code(send('track', encoding, body)), encoding).toEqual(said);
    const wrong = `pca_wk_${'x'.repeat(32)}`;
    for (const [encoding, body] of refused.slice(0, 8))
      expect(await code(send('track', encoding, body, wrong))).toEqual([401, 'UNAUTHENTICATED']);
    expect(await code(send('track', 'gzip', gzipSync(trackOf({ writeKey: wrong })), ''))).toEqual([401, 'UNAUTHENTICATED']);
    // Without a key in the header it is nobody's, which is what the gateway counts.
    for (const [encoding, body] of refused.slice(0, 8))
      expect(await code(send('track', encoding, body, ''))).toEqual([401, 'UNAUTHENTICATED']);
    expect((await sut.published()).has('never taken')).toBe(false);
  });
});
