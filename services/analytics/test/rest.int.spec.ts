import { encodeAnalyticsId } from '@pca/contracts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { z } from 'zod';
import { analyticsPaths } from '../src/analytics-paths.js';
import { type QuestionsUnderTest, startQuestions } from './questions-under-test.js';
import { routesOf } from './rest-routes.js';

let sut: QuestionsUnderTest;
let viewer: string;
let owner: string;
const longId = 'ü'.repeat(256);
const strangeId = 'a/b c?d#e%';

beforeAll(async () => {
  sut = await startQuestions();
  await sut.stores.workspaces.apply({ id: 'demo', timeZone: 'America/New_York', firstDayOfWeek: 1, ipPolicy: 'DROP' });
  const event = { userId: 'ada', timestamp: '2026-02-03T10:00:00Z', event: 'click', resource: 'button', page: null };
  await sut.store([
    ...[event, { ...event, event: 'page', page: '/shoes' }, { ...event, event: 'buy', sessionId: 'visit' }, { ...event, isBot: true }],
    // The second of February in New York, the third elsewhere.
    { ...event, userId: null, anonymousId: 'anon', timestamp: '2026-02-03T02:00:00Z' },
    ...[strangeId, longId].map((userId) => ({ ...event, userId })),
  ]);
  await sut.merge('ada', ['anon']);
  viewer = await sut.token('viewer');
  owner = await sut.token('owner');
});
afterAll(() => sut.stop());

interface Answer {
  status: number;
  body: Record<string, unknown>;
  headers: Headers;
}
const ask = async (path: string, token = viewer): Promise<Answer> => answerOf(await sut.service.rest(token, 'GET', `/v1/analytics${path}`));
const post = async (path: string, body?: unknown): Promise<Answer> =>
  answerOf(await sut.service.rest(owner, 'POST', `/v1/analytics${path}`, body));
const answerOf = async (response: Response): Promise<Answer> => ({
  status: response.status,
  body: (await response.json()) as Record<string, unknown>,
  headers: response.headers,
});

/** Fails when an answer has a field that the document does not name, or lacks one that it does. */
const expectAsDocumented = (method: 'get' | 'post', path: string, { status, body }: Answer): void => {
  const { responses } = analyticsPaths[path]?.[method] as { responses: Record<number, { content: Record<string, { schema: z.ZodType }> }> };
  expect(responses[status]?.content['application/json']?.schema.parse(body), `${method} ${path}`).toEqual(body);
};

/** Each question finds anew how fresh it is. */
const withoutAsOf = (body: object): unknown =>
  JSON.parse(JSON.stringify(body), (key, each: unknown) => (key === 'asOf' ? undefined : each));

// Broken by: a route that nobody described, and a description without its route.
it('has the routes that the document describes', () => {
  const described = Object.entries(analyticsPaths).flatMap(([path, item]) =>
    Object.keys(item ?? {}).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.toSorted()).toEqual(routesOf(sut.definition));
});

interface GraphUser {
  sessions: (object & { user: { id: string } })[];
}
interface Case {
  documented: string;
  path: string;
  query: string;
  /** What REST says of it; absent: the same as the graph. */
  asRest?: (data: { user: GraphUser; session: GraphUser['sessions'][number] }) => object;
}

const stats = 'events sessions activeDays pageViews averageSessionSeconds favouriteFeatures { event count } firstSeenAt lastSeenAt';
const user = 'id aliases traits firstSeenAt lastSeenAt';
const step = 'at lastAt step event page resource count sessionId';
const usage = 'count users sessions';
const session = `id startedAt endedAt durationSeconds device browser os country events pageViews isBounce entryPage exitPage referrerHost
  utmCampaign utmSource utmMedium utmTerm utmContent user { id }`;
const sessionOf = ({ user: { id }, ...rest }: GraphUser['sessions'][number]): object => ({ ...rest, userId: id });
const days = 'from: "2026-02-02", to: "2026-02-02"';
const inDays = 'from=2026-02-02&to=2026-02-02';

const cases: readonly Case[] = [
  { documented: 'users', path: '/users', query: `{ users { ${user} } }` },
  {
    ...{ documented: 'users', path: '/users?search=AD&limit=1&includeBots=true' },
    query: `{ users(search: "AD", limit: 1, includeBots: true) { ${user} } }`,
  },
  { documented: 'users', path: '/users?search=nobody', query: `{ users(search: "nobody") { ${user} } }` },
  {
    ...{ documented: 'users/{id}', path: '/users/anon', query: `{ user(id: "anon") { ${user} stats { ${stats} } } }` },
    asRest: (data) => data.user,
  },
  {
    ...{ documented: 'users/{id}', path: '/users/ada?includeBots=true' },
    ...{ query: `{ user(id: "ada") { ${user} stats(includeBots: true) { ${stats} } } }`, asRest: (data) => data.user },
  },
  {
    ...{ documented: 'users/{id}/sessions', path: '/users/ada/sessions?limit=2&includeBots=true' },
    query: `{ user(id: "ada") { sessions(limit: 2, includeBots: true) { ${session} } } }`,
    asRest: (data) => ({ sessions: data.user.sessions.map(sessionOf) }),
  },
  {
    ...{ documented: 'users/{id}/journey', path: `/users/ada/journey?${inDays}&limit=5` },
    ...{ query: `{ user(id: "ada") { journey(${days}, limit: 5) { ${step} } } }`, asRest: (data) => data.user },
  },
  {
    ...{ documented: 'users/{id}/journey', path: '/users/ada/journey?includeBots=true' },
    ...{ query: `{ user(id: "ada") { journey(includeBots: true) { ${step} } } }`, asRest: (data) => data.user },
  },
  {
    ...{ documented: 'sessions/{id}', path: '/sessions/visit', query: `{ session(id: "visit") { ${session} } }` },
    asRest: (data) => sessionOf(data.session),
  },
  { documented: 'feature-usage', path: '/feature-usage', query: `{ featureUsage { event resource ${usage} } }` },
  {
    ...{ documented: 'feature-usage', path: `/feature-usage?${inDays}&by=RESOURCE&limit=1&includeBots=true` },
    query: `{ featureUsage(${days}, by: RESOURCE, limit: 1, includeBots: true) { event resource ${usage} } }`,
  },
  { documented: 'page-views', path: '/page-views?limit=3', query: `{ pageViews(limit: 3) { page ${usage} } }` },
  { documented: 'page-views', path: `/page-views?${inDays}`, query: `{ pageViews(${days}) { page ${usage} } }` },
];

// Broken by: a controller that reads otherwise than the resolver does, drops an argument, or shows what no client should see.
it.each(cases)('answers $path as the graph does, in the shape that is documented', async ({ documented, path, query, asRest }) => {
  const answer = await ask(path);
  expect(answer.status).toBe(200);
  expectAsDocumented('get', `/v1/analytics/${documented}`, answer);
  const data = await sut.ask<{ user: GraphUser; session: GraphUser['sessions'][number] }>(query);
  expect(withoutAsOf(answer.body)).toEqual(asRest ? asRest(data) : data);
});

// Broken by: a time zone that is not read, days of UTC where the workspace has its own, a range that is cut where none was given.
it('sums what was done over the days of the workspace, or of a time zone', async () => {
  const totals = async (query: string): Promise<object> => {
    const answer = await ask(`/behaviour${query}`);
    expectAsDocumented('get', '/v1/analytics/behaviour', answer);
    return answer.body;
  };
  const inGraph = async (timeZone: string): Promise<unknown> => {
    const range = { from: '2026-02-03', to: '2026-02-03', platform: null, currency: 'EUR', interval: 'DAY' as const, timeZone };
    const query = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Analytics { behaviour {
      activeUsers sessions events pageViews bounceRate averageSessionSeconds } } } }`;
    const r = [{ __typename: 'Analytics', id: encodeAnalyticsId(range) }];
    return (await sut.ask<{ _entities: { behaviour: unknown }[] }>(query, { r }))._entities[0]?.behaviour;
  };
  const day = '?from=2026-02-03&to=2026-02-03';
  expect(withoutAsOf(await totals(day))).toEqual(await inGraph('America/New_York'));
  expect(withoutAsOf(await totals(`${day}&timeZone=Asia/Tokyo`))).toEqual(await inGraph('Asia/Tokyo'));
  expect(await totals(day)).toMatchObject({ events: 5, activeUsers: 3 });
  expect(await totals(`${day}&timeZone=Asia/Tokyo`)).toMatchObject({ events: 6 });
  expect(await totals('')).toMatchObject({ events: 6 });
  expect(await totals('?includeBots=true')).toMatchObject({ events: 7 });
});

// Broken by: an id that is cut at a slash, a router that knows only short ones.
it('finds ids of any characters and of the greatest length', async () => {
  for (const id of [strangeId, longId]) {
    const { body } = await ask(`/users/${encodeURIComponent(id)}`);
    expect(body).toMatchObject({ id, stats: { events: 1 } });
    expect((await ask(`/users/${encodeURIComponent(id)}/sessions`)).body).toMatchObject({ sessions: [{ userId: id }] });
  }
});

// Broken by: a bound that the graph has and REST has not, an unknown or repeated parameter that is silently left out.
it.each([
  ['limit', '/users?limit=0'],
  ['limit', '/users?limit=201'],
  ['limit', '/users?limit=many'],
  ['limit', '/users?limit=1.5'],
  ['limit', '/users?limit=1&limit=2'],
  ['search', `/users?search=${'x'.repeat(257)}`],
  ['search', '/users?search=a&search=b'],
  ['includeBots', '/users?includeBots=perhaps'],
  ['order', '/users?order=asc'],
  ['id', `/users/${'x'.repeat(257)}`],
  ['cannot be stored', '/users/a%00b'],
  ['limit', '/users/ada/sessions?limit=201'],
  ['limit', '/users/ada/journey?limit=1001'],
  ['from must not lie after to', '/users/ada/journey?from=2026-02-02&to=2026-02-01'],
  ['id', `/sessions/${'x'.repeat(257)}`],
  ['by', '/feature-usage?by=MOOD'],
  ['limit', '/feature-usage?limit=201'],
  ['from: must be a day', '/page-views?from=yesterday'],
  ['to: must lie in the years 1970 to 2100', '/page-views?to=2101-01-01'],
  ['from: must be a day', '/behaviour?from='],
  ['timeZone: must be an IANA time zone', '/behaviour?timeZone=Middle/Earth'],
])('refuses what is wrong with %s: %s', async (reason, path) => {
  const { status, body, headers } = await ask(path);
  expect([status, headers.get('content-type'), body['code']]).toEqual([400, 'application/problem+json; charset=utf-8', 'BAD_USER_INPUT']);
  expect(body['detail']).toContain(reason);
});

// Broken by: an empty answer where there is nobody, a route that answers below another.
it('says when there is no such thing', async () => {
  const nobody = [
    '/users/nobody',
    '/users/nobody/sessions',
    '/users/nobody/journey',
    '/sessions/none',
    '/sessions/~1.zz',
    '/users/ada/other',
    '',
  ];
  for (const path of nobody) expect([path, (await ask(path)).body['code']]).toEqual([path, 'NOT_FOUND']);
  const keys = ['/ingest-keys/x/rotate', '/ingest-keys/019b0000-0000-7000-8000-000000000000/revoke'];
  for (const path of keys) expect([path, (await post(path)).body['code']]).toEqual([path, 'NOT_FOUND']);
  for (const id of ['x', '019b0000-0000-7000-8000-000000000000'])
    expect((await ask(`/erasures/${id}`, owner)).body['code']).toBe('NOT_FOUND');
  expect((await post('/erasures', { userId: 'nobody' })).status).toBe(404);
});

// Broken by: a second request for the same person, a Location that leads nowhere.
it('forgets a person, and says how far it is', async () => {
  await sut.store([{ userId: 'gone', anonymousId: 'gone-anon' }]);
  const asked = await post('/erasures', { userId: 'gone' });
  expect(asked.status).toBe(202);
  expectAsDocumented('post', '/v1/analytics/erasures', asked);
  expect((await ask('/users/gone')).status).toBe(404);
  const location = String(asked.headers.get('location'));
  expect(location).toBe(`/v1/analytics/erasures/${String(asked.body['id'])}`);
  const found = await ask(location.replace('/v1/analytics', ''), owner);
  expectAsDocumented('get', '/v1/analytics/erasures/{id}', found);
  expect(found.body).toEqual(asked.body);
  expect((await post('/erasures', { userId: 'gone' })).body['id']).toBe(asked.body['id']);
  const refused = [undefined, {}, { userId: '' }, { userId: 5 }, { userId: 'x'.repeat(257) }, { userId: 'ada', also: 'bo' }, ['ada']];
  for (const body of refused) expect((await post('/erasures', body)).body['code'], JSON.stringify(body)).toBe('BAD_USER_INPUT');
  expect((await ask('/users/ada')).status).toBe(200);
});

// Broken by: a key that is told again, a digest in an answer, an answer that something on the way may keep.
it('makes ingest keys, tells each once, and ends them', async () => {
  const sent = async (key: unknown): Promise<number> =>
    (await sut.service.rest(String(key), 'POST', '/v1/track', { event: 'e', userId: 'u' })).status;
  const made = await post('/ingest-keys', { name: 'shop' });
  expect([made.status, made.headers.get('cache-control')]).toEqual([201, 'no-store']);
  expectAsDocumented('post', '/v1/analytics/ingest-keys', made);
  const { id } = made.body['ingestKey'] as { id: string };
  const rotated = await post(`/ingest-keys/${id}/rotate`);
  expect([rotated.status, rotated.headers.get('cache-control')]).toEqual([201, 'no-store']);
  expectAsDocumented('post', '/v1/analytics/ingest-keys/{id}/rotate', rotated);
  expect([await sent(made.body['key']), await sent(rotated.body['key'])]).toEqual([202, 202]);
  const revoked = await post(`/ingest-keys/${id}/revoke`);
  expectAsDocumented('post', '/v1/analytics/ingest-keys/{id}/revoke', revoked);
  expect([await sent(made.body['key']), await sent(rotated.body['key'])]).toEqual([401, 202]);
  const list = await ask('/ingest-keys', owner);
  expectAsDocumented('get', '/v1/analytics/ingest-keys', list);
  expect(list.body['ingestKeys']).toEqual([rotated.body['ingestKey'], revoked.body]);
  const successor = (rotated.body['ingestKey'] as { id: string }).id;
  const hours = [-1, 721, 1.5, '24', null].map((overlapHours) => [`/ingest-keys/${successor}/rotate`, { overlapHours }] as const);
  const names = [undefined, {}, { name: ' ' }, { name: 'x'.repeat(257) }, { name: 'a', scope: 'all' }];
  for (const [path, body] of [...hours, ...names.map((name) => ['/ingest-keys', name] as const)])
    expect((await post(path, body)).body['code'], JSON.stringify(body)).toBe('BAD_USER_INPUT');
  const now = await post(`/ingest-keys/${successor}/rotate`, { overlapHours: 0 });
  expect([now.status, await sent(rotated.body['key'])]).toEqual([201, 401]);
});
