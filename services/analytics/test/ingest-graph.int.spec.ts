import type { GraphqlAnswer } from '@pca/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type IngestUnderTest, startIngest } from './ingest-under-test.js';
import { storesOn, tracked } from './timelines-under-test.js';

let sut: IngestUnderTest;
let editor: string;
beforeAll(async () => {
  sut = await startIngest();
  editor = await sut.token('editor');
});
afterAll(() => sut.stop());

type Answer = GraphqlAnswer<Record<string, Record<string, unknown>>>;
const ask = (text: string, variables: object, token = editor): Promise<Answer> => sut.service.graphql(token, text, variables);
const track = (input: object, token?: string): Promise<Answer> =>
  ask('mutation ($i: TrackActionInput!) { trackAction(input: $i) { accepted messageId } }', { i: input }, token);
const view = (input: object): Promise<Answer> =>
  ask('mutation ($i: TrackPageViewInput!) { trackPageView(input: $i) { accepted messageId } }', { i: input });
const session = 'id startedAt endedAt durationSeconds device browser events pageViews isBounce user { id } utmCampaign';
const start = (input: object, token?: string): Promise<Answer> =>
  ask(`mutation ($i: StartSessionInput!) { startSession(input: $i) { ${session} } }`, { i: input }, token);
const end = (id: string, token?: string): Promise<Answer> =>
  ask(`mutation ($id: ID!) { endSession(id: $id) { ${session} } }`, { id }, token);
const chrome = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36';
const published = async (id: string): Promise<unknown> => (await sut.published()).get(id)?.[0];

describe('tracking through the graph', () => {
  // Broken by: a way in of its own, on which names, ids or limits are others than over HTTP.
  it('takes actions and page views the same way as HTTP', async () => {
    const action = { actionId: 'a1', userId: 'u', sessionId: 's', actionType: 'Added', resource: 'sku-1', properties: { price: 3 } };
    expect((await track(action)).data).toEqual({ trackAction: { accepted: true, messageId: 'a1' } });
    expect(await published('a1')).toMatchObject({
      type: 'behaviour.event-tracked.v1',
      workspaceId: 'demo',
      payload: { event: 'Added', resource: 'sku-1', sessionId: 's', properties: { price: 3 } },
    });
    expect((await view({ actionId: 'p1', anonymousId: 'a', page: '/cart', title: 'Cart' })).data?.['trackPageView']).toMatchObject({
      accepted: true,
    });
    expect(await published('p1')).toMatchObject({ payload: { event: 'page', page: '/cart', properties: { title: 'Cart' } } });
    const made = (await track({ userId: 'u', actionType: 'Added' })).data?.['trackAction'];
    expect(await published(String(made?.['messageId']))).toBeDefined();
    const withheld = { ...action, actionId: 'a2', context: { doNotTrack: true } };
    expect((await track(withheld)).data?.['trackAction']).toEqual({ accepted: false, messageId: 'a2' });
    expect(await published('a2')).toBeUndefined();
  });

  // Broken by: what HTTP refuses and the graph lets through.
  it('refuses what HTTP refuses', async () => {
    const good = { userId: 'u', actionType: 'e' };
    const bad: [object, string][] = [
      [{ actionType: 'e' }, 'BAD_USER_INPUT'],
      [{ ...good, actionType: '$mine' }, 'BAD_USER_INPUT'],
      [{ ...good, timestamp: '1970-01-01T00:00:00Z' }, 'BAD_USER_INPUT'],
      [{ ...good, properties: [1] }, 'BAD_USER_INPUT'],
      [{ ...good, properties: 'x' }, 'BAD_USER_INPUT'],
      [{ ...good, context: 5 }, 'BAD_USER_INPUT'],
      [{ ...good, properties: { text: 'x'.repeat(40_000) } }, 'PAYLOAD_TOO_LARGE'],
    ];
    for (const [input, code] of bad) expect((await track(input)).errors[0]?.extensions.code, JSON.stringify(input).slice(0, 60)).toBe(code);
  });

  // Broken by: an address or agent that is lost, that is a server's, that is kept in full, or that goes before what the input says.
  it('keeps of a browser what HTTP keeps, unless the input says who the visitor is', async () => {
    await sut.database.pool.query(`insert into workspace (id, ip_policy) values ('truncating', 'TRUNCATE'), ('hashing', 'HASH')`);
    const browser = { origin: 'https://shop.example.org', 'user-agent': chrome, 'x-forwarded-for': '203.0.113.77' };
    const mutations = `mutation ($s: StartSessionInput!, $a: TrackActionInput!, $p: TrackPageViewInput!) {
      startSession(input: $s) { device browser } trackAction(input: $a) { accepted } trackPageView(input: $p) { accepted } }`;
    const contextsOf = async (name: string, headers: Record<string, string>, more: object, workspace: string): Promise<unknown[]> => {
      const given = { userId: 'u', sessionId: name, ...more };
      const a = { ...given, actionId: `${name} a`, actionType: 'e' };
      const variables = { s: given, a, p: { ...given, actionId: `${name} p`, page: '/' } };
      const token = await sut.token('editor', workspace);
      const response = await sut.service.rest(token, 'POST', '/graphql', { query: mutations, variables }, headers);
      expect(await response.json()).not.toHaveProperty('errors');
      const sent = [...(await sut.published()).values()].flat().filter(({ payload }) => payload['sessionId'] === name);
      expect(
        sent.map(({ payload }) => payload['properties']),
        'no field of the input is left among them',
      ).toEqual([{}, {}, {}]);
      return sent.map(({ payload }) => payload['context']);
    };
    const families = { device: 'desktop', browser: 'Chrome', os: 'Windows' };
    const thrice = (context: object): object[] => [context, context, context];
    expect(await contextsOf('dropped', browser, {}, 'demo')).toEqual(thrice(families));
    expect(await contextsOf('truncated', browser, {}, 'truncating')).toEqual(thrice({ ...families, ip: '203.0.113.0' }));
    const hash = expect.stringMatching(/^[\w-]{22}$/) as string;
    expect(await contextsOf('hashed', browser, {}, 'hashing')).toEqual(thrice({ ...families, ip: hash }));
    const { origin: _origin, ...server } = browser;
    expect(await contextsOf('of a server', server, {}, 'truncating')).toEqual(thrice({}));
    const visitor = { ipAddress: '198.51.100.9', userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0' };
    const said = thrice({ device: 'desktop', browser: 'Firefox', os: 'Linux', ip: '198.51.100.0' });
    expect(await contextsOf('for a visitor', server, visitor, 'truncating')).toEqual(said);
    expect(await contextsOf('for another', browser, visitor, 'truncating')).toEqual(said);
    expect(JSON.stringify([...(await sut.published()).values()])).not.toMatch(/203\.0\.113\.77|198\.51\.100\.9|Mozilla/);
  });

  // Broken by: readers that write, or an argument that names a workspace.
  it('needs analytics:write, and writes into the workspace of the token', async () => {
    for (const role of ['viewer', 'analyst'] as const) {
      const token = await sut.token(role);
      for (const answer of [
        await track({ userId: 'u', actionType: 'e' }, token),
        await start({ userId: 'u' }, token),
        await end('s', token),
      ]) {
        expect(answer.errors[0]?.extensions).toMatchObject({ code: 'FORBIDDEN', scope: 'analytics:write' });
      }
    }
    await track({ userId: 'u', actionType: 'e', actionId: 'theirs' }, await sut.token('owner', 'theirs'));
    expect(await published('theirs')).toMatchObject({ workspaceId: 'theirs' });
  });
});

describe('sessions through the graph', () => {
  // Broken by: an answer that is not what was accepted, or a repeat that counts again.
  it('begin with what is known of them', async () => {
    const input = { sessionId: 's1', userId: 'u1', timestamp: '2025-11-01T10:00:00Z', userAgent: chrome, ipAddress: '203.0.113.5' };
    const expected = {
      ...{
        id: 's1',
        startedAt: '2025-11-01T10:00:00.000Z',
        endedAt: '2025-11-01T10:00:00.000Z',
        durationSeconds: 0,
        events: 0,
        pageViews: 0,
      },
      ...{ isBounce: false, device: 'desktop', browser: 'Chrome', user: null, utmCampaign: 'spring' },
    };
    for (let n = 0; n < 2; n += 1)
      expect((await start({ ...input, context: { campaign: { name: 'spring' } } })).data?.['startSession']).toEqual(expected);
    const all = [...(await sut.published()).values()].flat().filter(({ payload }) => payload['sessionId'] === 's1');
    expect(all).toHaveLength(2);
    expect(new Set(all.map(({ payload }) => payload['messageId'])).size).toBe(1);
    expect(all[0]).toMatchObject({ type: 'behaviour.session-started.v1', payload: { event: '$session_start', userId: 'u1' } });
    expect(JSON.stringify(all)).not.toContain('203.0.113');
    const said = (await start({ anonymousId: 'a', device: 'Tablet', browser: 'Mine' })).data?.['startSession'];
    expect(said).toMatchObject({ id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string, device: 'tablet', browser: 'Mine' });
  });

  // Broken by: an end that is lost because its beginning is not stored yet, or that names another person.
  it('end where they began a moment ago', async () => {
    await start({ sessionId: 's2', anonymousId: 'a2' });
    const ended = (await end('s2')).data?.['endSession'];
    expect(Date.parse(String(ended?.['endedAt']))).toBeGreaterThanOrEqual(Date.parse(String(ended?.['startedAt'])));
    const all = [...(await sut.published()).values()].flat().filter(({ payload }) => payload['sessionId'] === 's2');
    expect(all.map(({ type, payload }) => [type, payload['event'], payload['anonymousId']])).toContainEqual([
      'behaviour.session-ended.v1',
      '$session_end',
      'a2',
    ]);
  });

  // Broken by: a session that only another process has seen.
  it('end where they are stored', async () => {
    const at = '2025-11-02T10:00:00.000Z';
    await storesOn(sut.database).append([
      tracked({ userId: 'u3', sessionId: 's3', timestamp: at, event: 'page', page: '/' }, 'demo', new Date()),
    ]);
    const ended = (await end('s3')).data?.['endSession'];
    expect(ended).toMatchObject({ id: 's3', startedAt: at, events: 1, pageViews: 1, user: { id: 'u3' } });
    expect(Number(ended?.['durationSeconds'])).toBeGreaterThan(60);
    expect([...(await sut.published()).values()].flat().find(({ payload }) => payload['sessionId'] === 's3')).toMatchObject({
      type: 'behaviour.session-ended.v1',
      payload: { userId: 'u3' },
    });
  });
});
