import { encodeAnalyticsId } from '@pca/contracts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type QuestionsUnderTest, startQuestions } from './questions-under-test.js';
import { routesOf } from './rest-routes.js';

let sut: QuestionsUnderTest;
let foreigner: string;
let variables: Record<string, unknown>;
const range = { from: '2026-02-01', to: '2026-02-28', platform: null, currency: 'CHF', interval: 'DAY' as const, timeZone: 'UTC' };

beforeAll(async () => {
  sut = await startQuestions();
  const event = {
    ...{ userId: 'secret-user', anonymousId: 'secret-anon', timestamp: '2026-02-03T10:00:00Z', event: 'secret-event' },
    ...{ resource: 'secret-resource', context: { utmCampaign: 'secret-campaign' } },
  };
  await sut.store([event, { ...event, event: 'page', page: '/secret-page' }, { ...event, sessionId: 'secret-session' }], 'acme-7f3');
  const mine = '{ user(id: "secret-user") { sessions { id } } }';
  const { user } = await sut.ask<{ user: { sessions: { id: string }[] } }>(mine, {}, 'acme-7f3');
  const owner = await sut.token('owner', 'acme-7f3');
  const made = await sut.service.graphql<{ createIngestKey: { ingestKey: { id: string } } }>(
    owner,
    'mutation { createIngestKey(input: {name: "secret-key"}) { ingestKey { id } } }',
  );
  await sut.store([{ ...event, userId: 'secret-gone', anonymousId: null }], 'acme-7f3');
  const erased = await sut.service.graphql<{ eraseUser: { id: string } }>(owner, 'mutation { eraseUser(id: "secret-gone") { id } }');
  variables = {
    user: 'secret-user',
    named: 'secret-session',
    derived: user.sessions.find(({ id }) => id !== 'secret-session')?.id,
    key: made.data?.createIngestKey.ingestKey.id,
    erasure: erased.data?.eraseUser.id,
    entities: [
      { __typename: 'Analytics', id: encodeAnalyticsId(range) },
      { __typename: 'User', id: 'secret-user' },
      { __typename: 'Campaign', id: 'c', name: 'secret-campaign', externalId: null },
    ],
  };
  foreigner = await sut.token('owner', 'theirs');
});
afterAll(() => sut.stop());

const user = `id aliases traits firstSeenAt lastSeenAt stats { events sessions favouriteFeatures { event } firstSeenAt }
  sessions { id entryPage utmCampaign } journey { step resource sessionId }`;

/** Every query and mutation of the schema with arguments that name what belongs to the other workspace, and whose scope it needs. */
const operations: Record<string, { text: string; scope: 'viewer' | 'owner' | 'none' }> = {
  user: { text: `query ($user: ID!) { user(id: $user) { ${user} } }`, scope: 'viewer' },
  users: { text: `{ users(limit: 200, includeBots: true) { ${user} } }`, scope: 'viewer' },
  session: {
    text: 'query ($named: ID!, $derived: ID!) { named: session(id: $named) { id events user { id } } derived: session(id: $derived) { id events user { id } } }',
    scope: 'viewer',
  },
  featureUsage: {
    text: '{ events: featureUsage { event resource count } resources: featureUsage(by: RESOURCE) { event resource count } }',
    scope: 'viewer',
  },
  pageViews: { text: '{ pageViews { page count } }', scope: 'viewer' },
  behaviourRetention: { text: '{ behaviourRetention }', scope: 'viewer' },
  _entities: {
    text: `query ($entities: [_Any!]!) { _entities(representations: $entities) {
      ... on Analytics { behaviour { events sessions activeUsers } } ... on User { ${user} } ... on Campaign { behaviour { sessions users conversions } } } }`,
    scope: 'viewer',
  },
  _service: { text: '{ _service { sdl } }', scope: 'none' },
  ingestKeys: { text: '{ ingestKeys { id name } }', scope: 'owner' },
  erasure: { text: 'query ($erasure: ID!) { erasure(id: $erasure) { id } }', scope: 'owner' },
  eraseUser: { text: 'mutation ($user: ID!) { eraseUser(id: $user) { state } }', scope: 'owner' },
  createIngestKey: { text: 'mutation { createIngestKey(input: {name: "theirs"}) { ingestKey { name } } }', scope: 'owner' },
  rotateIngestKey: { text: 'mutation ($key: ID!) { rotateIngestKey(id: $key) { key } }', scope: 'owner' },
  revokeIngestKey: { text: 'mutation ($key: ID!) { revokeIngestKey(id: $key) { name } }', scope: 'owner' },
  startSession: { text: 'mutation { startSession(input: {userId: "theirs"}) { device } }', scope: 'owner' },
  endSession: { text: 'mutation ($named: ID!) { endSession(id: $named) { id } }', scope: 'owner' },
  trackAction: { text: 'mutation { trackAction(input: {userId: "theirs", actionType: "e"}) { accepted } }', scope: 'owner' },
  trackPageView: { text: 'mutation { trackPageView(input: {userId: "theirs", page: "/"}) { accepted } }', scope: 'owner' },
  setBehaviourRetention: { text: 'mutation { setBehaviourRetention(days: 30) }', scope: 'owner' },
};

const ask = (token: string, text: string) => {
  const named = Object.entries(variables).filter(([name]) => text.includes(`$${name}`));
  return sut.service.graphql(token, text, Object.fromEntries(named));
};

// Broken by: a question or change without its workspace, and an operation that nobody thought of here.
it('shows and changes nothing of another workspace, by any query or mutation of the schema', async () => {
  type Fields = { fields: { name: string }[] };
  const schema = await sut.service.graphql<{ __schema: { queryType: Fields; mutationType: Fields } }>(
    foreigner,
    '{ __schema { queryType { fields { name } } mutationType { fields { name } } } }',
  );
  const names = [schema.data?.__schema.queryType, schema.data?.__schema.mutationType].flatMap((type) =>
    type?.fields.map(({ name }) => name),
  );
  expect(names.toSorted(), 'an operation that this test does not know').toEqual(Object.keys(operations).toSorted());
  for (const [name, { text }] of Object.entries(operations)) {
    const answer = await ask(foreigner, text);
    expect(JSON.stringify(answer.data), name).not.toMatch(/secret|acme/);
    // Numbers would be counts of what they have.
    if (name !== '_service') expect(JSON.stringify(answer.data), name).not.toMatch(/[1-9]\d*(?=[,}\]])(?<!3650|30)/);
    expect(JSON.stringify(answer.errors), name).not.toMatch(/secret|acme/);
  }
  const mine = await sut.ask(
    '{ user(id: "secret-user") { stats { events } } session(id: "secret-session") { events } behaviourRetention }',
    {},
    'acme-7f3',
  );
  expect(mine).toEqual({ user: { stats: { events: 3 } }, session: { events: 1 }, behaviourRetention: 3650 });
  const keys = await sut.service.graphql(await sut.token('owner', 'acme-7f3'), '{ ingestKeys { name revokedAt } }');
  expect(keys.data).toEqual({ ingestKeys: [{ name: 'secret-key', revokedAt: null }] });
});

// Broken by: a field or reference resolver, before which no guard runs, that forgets its scope.
it('needs the scope of each operation, and a token for all', async () => {
  const viewer = await sut.token('viewer', 'acme-7f3');
  const sre = await sut.token('sre', 'acme-7f3');
  for (const [name, { text, scope }] of Object.entries(operations)) {
    if (scope === 'none') continue;
    expect((await ask('', text)).errors[0]?.extensions.code, name).toBe('UNAUTHENTICATED');
    const refused = await ask(scope === 'viewer' ? sre : viewer, text);
    expect(refused.errors[0]?.extensions.code, name).toBe('FORBIDDEN');
    expect(JSON.stringify(refused.data), name).not.toMatch(/secret|[1-9]/);
  }
});

interface Route {
  /** With `$name` for what belongs to the other workspace. */
  readonly path: string;
  readonly body?: object;
  readonly scope: 'viewer' | 'owner';
  /** What somebody of another workspace is told. */
  readonly status: number;
}

const neededScopes = { viewer: 'analytics:read', owner: 'workspace:admin' };

/** Every route of REST; what names something of the other workspace is told that there is no such thing. */
const routes: Record<string, Route> = {
  'GET /v1/analytics/users': { path: '/users?limit=200&includeBots=true', scope: 'viewer', status: 200 },
  'GET /v1/analytics/users/{id}': { path: '/users/$user', scope: 'viewer', status: 404 },
  'GET /v1/analytics/users/{id}/sessions': { path: '/users/$user/sessions', scope: 'viewer', status: 404 },
  'GET /v1/analytics/users/{id}/journey': { path: '/users/$user/journey', scope: 'viewer', status: 404 },
  'GET /v1/analytics/sessions/{id}': { path: '/sessions/$named', scope: 'viewer', status: 404 },
  'GET /v1/analytics/feature-usage': { path: '/feature-usage?by=RESOURCE', scope: 'viewer', status: 200 },
  'GET /v1/analytics/page-views': { path: '/page-views', scope: 'viewer', status: 200 },
  'GET /v1/analytics/behaviour': { path: '/behaviour', scope: 'viewer', status: 200 },
  'POST /v1/analytics/erasures': { path: '/erasures', body: { userId: 'secret-user' }, scope: 'owner', status: 404 },
  'GET /v1/analytics/erasures/{id}': { path: '/erasures/$erasure', scope: 'owner', status: 404 },
  'GET /v1/analytics/ingest-keys': { path: '/ingest-keys', scope: 'owner', status: 200 },
  'POST /v1/analytics/ingest-keys': { path: '/ingest-keys', body: { name: 'theirs' }, scope: 'owner', status: 201 },
  'POST /v1/analytics/ingest-keys/{id}/rotate': { path: '/ingest-keys/$key/rotate', scope: 'owner', status: 404 },
  'POST /v1/analytics/ingest-keys/{id}/revoke': { path: '/ingest-keys/$key/revoke', scope: 'owner', status: 404 },
};

const rest = async (token: string | undefined, name: string, { path, body }: Route): Promise<{ status: number; text: string }> => {
  const [method = ''] = name.split(' ');
  const url = `/v1/analytics${path.replace(/\$(\w+)/, (_whole, variable: string) => String(variables[variable]))}`;
  const response = await sut.service.rest(token, method, url, body);
  return { status: response.status, text: await response.text() };
};

// Broken by: a route without its workspace, and one that nobody thought of here.
it('shows and changes nothing of another workspace, by any route of REST', async () => {
  expect(routesOf(sut.definition), 'a route that this test does not know').toEqual(Object.keys(routes).toSorted());
  for (const [name, route] of Object.entries(routes)) {
    const { status, text } = await rest(foreigner, name, route);
    expect(status, name).toBe(route.status);
    // What they asked for is in the problem; of a body that tells nothing else, numbers would be counts of what they have.
    const told = text.replaceAll(String(variables[/\$(\w+)/.exec(route.path)?.[1] ?? 'named']), '');
    expect(told, name).not.toMatch(/secret|acme/);
    if (status < 400) expect(told, name).not.toMatch(/[1-9]\d*(?=[,}\]])/);
  }
  const derived = await rest(foreigner, 'GET', { path: '/sessions/$derived', scope: 'viewer', status: 404 });
  expect(derived.status).toBe(404);
  const mine = '{ user(id: "secret-user") { stats { events } } }';
  expect(await sut.ask(mine, {}, 'acme-7f3')).toEqual({ user: { stats: { events: 3 } } });
  const keys = await rest(await sut.token('owner', 'acme-7f3'), 'GET', routes['GET /v1/analytics/ingest-keys'] as Route);
  const { ingestKeys } = JSON.parse(keys.text) as { ingestKeys: { name: string; expiresAt: unknown; revokedAt: unknown }[] };
  expect(ingestKeys).toEqual([expect.objectContaining({ name: 'secret-key', expiresAt: null, revokedAt: null })]);
});

// Broken by: a route with a lower scope than its question in the graph, or open to everybody.
it('needs the scope of each route, and a token for all', async () => {
  const viewer = await sut.token('viewer', 'acme-7f3');
  const editor = await sut.token('editor', 'acme-7f3');
  const sre = await sut.token('sre', 'acme-7f3');
  for (const [name, route] of Object.entries(routes)) {
    const refusals = [
      [undefined, 401, 'UNAUTHENTICATED'],
      ['nonsense', 401, 'UNAUTHENTICATED'],
      [sre, 403, 'FORBIDDEN'],
      ...(route.scope === 'owner' ? ([viewer, editor].map((token) => [token, 403, 'FORBIDDEN']) as [string, number, string][]) : []),
    ] as const;
    for (const [token, expected, code] of refusals) {
      const { status, text } = await rest(token, name, route);
      const problem = JSON.parse(text) as { code: string; scope?: string };
      const lacking = status === 403 ? neededScopes[route.scope] : undefined;
      expect([status, problem.code, problem.scope], name).toEqual([expected, code, lacking]);
    }
  }
});
