import { setTimeout as sleep } from 'node:timers/promises';
import { startFixtureSubgraph } from '@pca/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Fixtures, type RunningGateway, startFixtures, startGateway } from './gateway-harness.js';

let fixtures: Fixtures;
let gateway: RunningGateway;
beforeAll(async () => {
  fixtures = await startFixtures();
});
afterAll(() => fixtures.stop());
beforeEach(() => fixtures.reset());
afterEach(() => gateway.stop());

const joined = '{ campaigns(limit: 2) { id noteCount } }';
const unusable = { status: 503, contentType: 'text/plain', body: 'http://10.0.0.7:8101 is overloaded' };

it('boots with every subgraph down and answers when they come', async () => {
  gateway = await startGateway(fixtures, { SUBGRAPH_CAMPAIGNS_URL: 'http://127.0.0.1:9', SUBGRAPH_NOTES_URL: 'http://127.0.0.1:9' });
  const { status, body } = await gateway.graph('{ campaigns(limit: 1) { id } }');
  expect([status, body.data, body.errors?.[0]?.extensions]).toEqual([200, null, { code: 'SERVICE_UNAVAILABLE', service: 'campaigns' }]);
});

it('gives up on a slow subgraph at its timeout and names it', async () => {
  // Enough for the campaigns on a busy machine, and far from what the notes take.
  gateway = await startGateway(fixtures, { SUBGRAPH_MS_MAX: '3000' });
  await fixtures.notes.behave({ delayMs: 60_000 });
  const { body } = await gateway.graph(joined);
  expect(body.data).toEqual({
    campaigns: [
      { id: 'c1', noteCount: null },
      { id: 'c2', noteCount: null },
    ],
  });
  expect(body.errors).toEqual([{ message: 'notes did not answer in time', extensions: { code: 'TIMEOUT', service: 'notes' } }]);
  expect((await fixtures.notes.look()).requests).toHaveLength(1);
});

it('ends the whole request at its deadline, with what it has', async () => {
  gateway = await startGateway(fixtures, { REQUEST_MS_MAX: '3000', SUBGRAPH_MS_MAX: '60000' });
  await fixtures.notes.behave({ delayMs: 60_000 });
  const { body } = await gateway.graph(joined);
  expect(body.data?.['campaigns']).toHaveLength(2);
  expect(body.errors?.[0]?.extensions).toEqual({ code: 'TIMEOUT', service: 'notes' });
});

it('asks a second time for a query and never for a mutation', async () => {
  gateway = await startGateway(fixtures);
  await fixtures.campaigns.behave({ answerInstead: unusable });
  const query = await gateway.graph('{ campaigns(limit: 1) { id } }');
  expect(query.body.errors?.[0]).toMatchObject({
    message: 'campaigns is not available',
    extensions: { code: 'SERVICE_UNAVAILABLE', service: 'campaigns' },
  });
  expect((await fixtures.campaigns.look()).requests).toHaveLength(2);
  await fixtures.campaigns.forget();
  const mutation = await gateway.graph('mutation { renameCampaign(id: "c1", name: "x") { id } }');
  expect(mutation.body.errors?.[0]?.extensions).toEqual({ code: 'SERVICE_UNAVAILABLE', service: 'campaigns' });
  expect((await fixtures.campaigns.look()).requests).toHaveLength(1);
});

it('stops hammering a subgraph that fails, probes it with one request and lets all through when that succeeds', async () => {
  gateway = await startGateway(fixtures);
  await fixtures.notes.behave({ answerInstead: unusable });
  const began = performance.now();
  for (let n = 0; n < 40; n++) expect((await gateway.graph(joined)).body.errors).toHaveLength(1);
  // Five open it, and one more may probe when its first pause was short; on a slow machine further pauses end meanwhile, a second each.
  const probes = 1 + Math.floor((performance.now() - began) / 1_000);
  expect((await fixtures.notes.look()).requests.length).toBeLessThanOrEqual(5 + probes);
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toMatch(/pca_gateway_breaker_state\{service="notes"[^}]*\} 2/);
  expect(metrics).toMatch(/pca_gateway_upstream_seconds_count\{service="notes",outcome="breaker_open"[^}]*\} \d+/);

  // A pause ends with a single probe, however many ask while that is under way.
  await fixtures.notes.forget();
  await fixtures.notes.behave({ delayMs: 5_000 });
  const asked: Promise<unknown>[] = [];
  const seen = async (): Promise<number> => {
    asked.push(gateway.graph(joined));
    return (await fixtures.notes.look()).requests.length;
  };
  await expect.poll(seen).toBe(1);
  for (const { body } of await Promise.all(Array.from({ length: 10 }, () => gateway.graph(joined)))) expect(body.errors).toHaveLength(1);
  expect((await fixtures.notes.look()).requests).toHaveLength(1);

  await fixtures.notes.behave({ answerInstead: null, delayMs: 0 });
  await Promise.all(asked);
  await expect.poll(async () => (await gateway.graph(joined)).body.errors, { interval: 200 }).toBeUndefined();
  expect((await gateway.graph(joined)).body.data?.['campaigns']).toEqual([
    { id: 'c1', noteCount: 3 },
    { id: 'c2', noteCount: 3 },
  ]);
});

it('does not open the breaker for errors that a healthy subgraph answers with', async () => {
  gateway = await startGateway(fixtures);
  for (let n = 0; n < 10; n++) expect((await gateway.graph('{ conflicting }')).body.errors?.[0]?.extensions.code).toBe('CONFLICT');
  expect((await gateway.graph(joined)).body.errors).toBeUndefined();
});

it.each([
  ['HTML', { status: 200, contentType: 'text/html', body: '<h1>http://10.0.0.7</h1>' }],
  ['broken JSON', { status: 200, contentType: 'application/json', body: '{"data":' }],
  ['a list', { status: 200, contentType: 'application/json', body: '7' }],
  ['an unexpected 500', { status: 500, contentType: 'text/plain', body: 'Error at /srv/app.ts:1' }],
  [
    'a schema other than the supergraph says',
    {
      status: 400,
      contentType: 'application/json',
      body: '{"errors":[{"message":"Cannot query field noteCount","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}',
    },
  ],
])('does not pass on an answer that is %s', async (_name, answerInstead) => {
  gateway = await startGateway(fixtures);
  await fixtures.notes.behave({ answerInstead });
  const { body } = await gateway.graph(joined);
  expect(body.data?.['campaigns']).toHaveLength(2);
  expect(body.errors?.map(({ message, extensions }) => ({ message, extensions }))).toEqual([
    { message: 'The answer of notes cannot be used', extensions: { code: 'BAD_GATEWAY', service: 'notes' } },
  ]);
});

it('does not hold an answer that is larger than the limit', async () => {
  gateway = await startGateway(fixtures, { SUBGRAPH_BYTES_MAX: '1000' });
  const { body } = await gateway.graph('{ campaigns(limit: 200) { id name } }');
  expect(body.errors?.[0]).toEqual({
    message: 'The answer of campaigns is larger than the limit',
    extensions: { code: 'BAD_GATEWAY', service: 'campaigns' },
  });
});

it('refuses more than may wait for one subgraph', async () => {
  gateway = await startGateway(fixtures, { SUBGRAPH_WAITING_MAX: '4' });
  // For as long as the ten need to arrive, on a busy machine too.
  await fixtures.campaigns.behave({ delayMs: 4_000 });
  const answers = await Promise.all(Array.from({ length: 10 }, () => gateway.graph('{ campaigns(limit: 1) { id } }')));
  const refused = answers.filter(({ body }) => body.errors);
  expect(refused).toHaveLength(6);
  expect(refused[0]?.body.errors?.[0]).toEqual({
    message: 'Too many requests are waiting for campaigns',
    extensions: { code: 'SERVICE_UNAVAILABLE', service: 'campaigns' },
  });
  await sleep(10);
  expect((await fixtures.campaigns.look()).requests).toHaveLength(4);
});

it('says which value of a subgraph broke the schema', async () => {
  gateway = await startGateway(fixtures);
  await fixtures.campaigns.behave({
    answerInstead: { status: 200, contentType: 'application/json', body: '{"data":{"campaigns":[{"id":"c1","name":null}]}}' },
  });
  const { status, body } = await gateway.graph('{ campaigns(limit: 1) { id name } }');
  expect([status, body.data, body.errors?.[0]?.extensions.code]).toEqual([200, null, 'BAD_GATEWAY']);
});

it('gives what it has, names the subgraph that is dead, and finds it when it comes back', async () => {
  gateway = await startGateway(fixtures);
  const { port } = fixtures.notes;
  await fixtures.notes.kill();
  const { status, body } = await gateway.graph(joined);
  expect(status).toBe(200);
  expect(body.data).toEqual({
    campaigns: [
      { id: 'c1', noteCount: null },
      { id: 'c2', noteCount: null },
    ],
  });
  expect(body.errors).toEqual([{ message: 'notes is not reachable', extensions: { code: 'SERVICE_UNAVAILABLE', service: 'notes' } }]);
  const ready = async (): Promise<unknown> => {
    const response = await fetch(`${gateway.url}/health/ready`);
    return [response.status, await response.json()];
  };
  await expect.poll(ready).toEqual([200, { status: 'ready', notReady: [], degraded: ['notes'] }]);
  expect(await (await fetch(gateway.url)).text()).toMatch(/<td>notes<\/td><td><span class="state down">down/);
  fixtures.notes = await startFixtureSubgraph('notes', { jwksFile: fixtures.issuer.jwksFile, port });
  await expect.poll(async () => (await gateway.graph(joined)).body.errors).toBeUndefined();
});
