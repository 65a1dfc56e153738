import { getIntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Fixtures, type RunningGateway, startFixtures, startGateway } from './gateway-harness.js';

let fixtures: Fixtures;
let gateway: RunningGateway;
beforeAll(async () => {
  fixtures = await startFixtures();
  gateway = await startGateway(fixtures);
});
afterAll(async () => {
  await gateway.stop();
  await fixtures.stop();
});

const nested = (levels: number): string => `{ campaigns(limit: 1) { ${'similar(limit: 1) { '.repeat(levels)} id ${'}'.repeat(levels)} } }`;
const doubling = (levels: number): string =>
  `{ campaigns { ...F0 } } ${Array.from({ length: levels }, (_, n) => `fragment F${n} on Campaign { ...F${n + 1} ...F${n + 1} }`).join(' ')} fragment F${levels} on Campaign { id }`;

it.each([
  ['50 levels', nested(50), {}, 'depth', 12],
  ['3,000 levels', nested(3_000), {}, 'tokens', 10_000],
  ['2,500 levels', `{ campaigns ${'{ similar '.repeat(2_500)}{ id }${'}'.repeat(2_501)}`, {}, 'depth', 12],
  [
    'a list literal 4,000 levels deep',
    `{ campaignsByIds(ids: ${'['.repeat(4_000)}1${']'.repeat(4_000)}) { id } }`,
    {},
    undefined,
    undefined,
  ],
  ['a list literal 100 levels deep', `{ campaignsByIds(ids: ${'['.repeat(100)}1${']'.repeat(100)}) { id } }`, {}, 'valueDepth', 32],
  ['500 aliases', `{ ${Array.from({ length: 500 }, (_, n) => `a${n}: campaign(id: "c1") { id }`).join(' ')} }`, {}, 'aliases', 100],
  ['2,000 directives', `{ campaigns { id ${'@include(if: true) '.repeat(1_400)} } }`, {}, 'directives', 100],
  ['2,000 unknown directives', `{ campaigns { id ${'@x '.repeat(2_000)} } }`, {}, 'directives', 100],
  ['200 root fields', `{ ${'leaking '.repeat(200)} }`, {}, 'rootFields', 50],
  ['one field 5,000 times', `{ campaigns { ${'id '.repeat(5_000)} } }`, {}, 'selections', 1_000],
  ['40 doublings by fragments', doubling(40), {}, 'selections', 1_000],
  [
    '900 fragments around themselves',
    `{ campaigns { ${'... { '.repeat(900)} id ${'}'.repeat(900)} ...F } } fragment F on Campaign { ${'id '.repeat(200)} }`,
    {},
    'selections',
    1_000,
  ],
  ['lists of lists of lists', '{ campaigns(limit: 200) { similar(limit: 200) { similar(limit: 200) { id } } } }', {}, 'cost', 50_000],
  [
    'the same by variables',
    'query($n: Int!) { campaigns(limit: $n) { similar(limit: $n) { similar(limit: $n) { id } } } }',
    { n: 200 },
    'cost',
    50_000,
  ],
  [
    '10,000 ids in a variable',
    'query($ids: [ID!]!) { campaignsByIds(ids: $ids) { id } }',
    { ids: Array.from({ length: 10_000 }, (_, n) => `c${n}`) },
    'listItems',
    5_000,
  ],
  [
    '6,000 ids in the query',
    `{ campaignsByIds(ids: [${Array.from({ length: 6_000 }, (_, n) => n).join(' ')}]) { id } }`,
    {},
    'listItems',
    5_000,
  ],
  [
    'a variable 1,000 levels deep',
    'query($ids: [ID!]!) { campaignsByIds(ids: $ids) { id } }',
    { ids: JSON.parse(`${'['.repeat(1_000)}${']'.repeat(1_000)}`) as unknown },
    'valueDepth',
    32,
  ],
])('refuses %s', async (_name, query, variables, limit, max) => {
  await fixtures.campaigns.forget();
  const { status, body } = await gateway.graph(query, variables);
  expect(body.errors?.[0]?.extensions).toMatchObject({ code: 'QUERY_TOO_COMPLEX', ...(limit && { limit, max }) });
  expect(status).toBe(400);
  expect((await fixtures.campaigns.look()).requests).toHaveLength(0);
});

it('refuses fragments that spread themselves', async () => {
  const { status, body } = await gateway.graph(
    '{ campaigns { ...A } } fragment A on Campaign { similar { ...B } } fragment B on Campaign { similar { ...A } }',
  );
  expect([status, body.errors?.[0]?.extensions.code]).toEqual([400, 'GRAPHQL_VALIDATION_FAILED']);
});

it('checks the cost of a known document again for other variables', async () => {
  const query = 'query($n: Int = 2) { campaigns(limit: $n) { similar(limit: $n) { similar(limit: $n) { id } } } }';
  expect((await gateway.graph(query)).status).toBe(200);
  expect((await gateway.graph(query, { n: 3 })).status).toBe(200);
  expect((await gateway.graph(query, { n: 100 })).body.errors?.[0]?.extensions).toMatchObject({
    code: 'QUERY_TOO_COMPLEX',
    limit: 'cost',
    max: 50_000,
    actual: 1_010_100,
  });
});

it('answers what stands just within the limits', async () => {
  const { status, body } = await gateway.graph(nested(10));
  expect([status, body.errors]).toEqual([200, undefined]);
  const aliases = await gateway.graph(`{ ${Array.from({ length: 50 }, (_, n) => `a${n}: campaign(id: "c1") { b: id }`).join(' ')} }`);
  expect([aliases.status, aliases.body.errors]).toEqual([200, undefined]);
});

it('answers introspection with a token', async () => {
  const { status, body } = await gateway.graph(
    getIntrospectionQuery({
      descriptions: true,
      specifiedByUrl: true,
      directiveIsRepeatable: true,
      schemaDescription: true,
      inputValueDeprecation: true,
    }),
  );
  expect([status, body.errors]).toEqual([200, undefined]);
  expect(JSON.stringify(body.data)).toMatch('Campaign');
});

it('refuses introspection that goes round in circles', async () => {
  const { status } = await gateway.graph(`{ __schema { types { ${'fields { type { '.repeat(6)} name ${'} }'.repeat(6)} } } }`);
  expect(status).toBe(400);
});

it('suggests names of fields where it is not in production', async () => {
  const { body } = await gateway.graph('{ campaigns { nam } }');
  expect(body.errors?.[0]?.message).toMatch('Did you mean "name"');
});

it('keeps introspection, GraphiQL and suggestions to itself in production', async () => {
  const production = await startGateway(fixtures, { NODE_ENV: 'production' });
  try {
    expect((await production.graph('{ __schema { queryType { name } } }')).body.errors?.[0]?.extensions.code).toBe(
      'GRAPHQL_VALIDATION_FAILED',
    );
    expect((await production.graph('{ campaigns { nam } }')).body.errors?.[0]?.message).toBe(
      'Cannot query field "nam" on type "Campaign".',
    );
    expect((await production.graph('query($n: Int!) { campaigns(limit: $n) { __typename } }', { n: 1 })).body.errors).toBeUndefined();
    expect((await fetch(`${production.url}/graphql`, { headers: { accept: 'text/html' } })).status).toBe(405);
  } finally {
    await production.stop();
  }
  const enabled = await startGateway(fixtures, { NODE_ENV: 'production', INTROSPECTION: 'true', GRAPHIQL: 'true' });
  try {
    expect((await enabled.graph('{ __schema { queryType { name } } }')).body.errors).toBeUndefined();
    expect((await fetch(`${enabled.url}/graphql`, { headers: { accept: 'text/html' } })).status).toBe(200);
  } finally {
    await enabled.stop();
  }
});

it('holds each token to its budget, and bad tokens to that of their address', async () => {
  const strict = await startGateway(fixtures, { RATE_REQUESTS_MAX: '5', RATE_REFUSED_MAX: '3' });
  try {
    const statuses: number[] = [];
    for (let n = 0; n < 6; n++) statuses.push((await strict.graph('{ campaigns(limit: 1) { id } }')).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
    const refused = await strict.graph('{ campaigns(limit: 1) { id } }');
    expect(refused.body).toMatchObject({ code: 'RATE_LIMITED', status: 429 });
    expect(refused.headers.get('content-type')).toMatch('application/problem+json');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const rest = await fetch(`${strict.url}/v1/campaigns`, { headers: { authorization: `Bearer ${await strict.token()}` } });
    expect(rest.status).not.toBe(429);
    const bad: number[] = [];
    for (let n = 0; n < 4; n++) bad.push((await strict.graph('{ campaigns { id } }', {}, { authorization: 'Bearer a.b.c' })).status);
    expect(bad).toEqual([401, 401, 401, 429]);
    expect(
      (await strict.graph('{ campaigns(limit: 1) { id } }', {}, { authorization: `Bearer ${await strict.token('viewer')}` })).status,
    ).toBe(200);
  } finally {
    await strict.stop();
  }
});
