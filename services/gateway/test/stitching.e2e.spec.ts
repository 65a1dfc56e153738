import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
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
beforeEach(() => fixtures.reset());

it('answers a query of one subgraph', async () => {
  const { status, body } = await gateway.graph('{ campaigns(limit: 2) { id name spend } }');
  expect(body).toEqual({
    data: {
      campaigns: [
        { id: 'c1', name: 'Campaign 1', spend: 10.5 },
        { id: 'c2', name: 'Campaign 2', spend: 21 },
      ],
    },
  });
  expect(status).toBe(200);
});

it('joins two subgraphs and asks the second one for twenty keys in one batch', async () => {
  const { body } = await gateway.graph('{ campaigns(limit: 20) { id notes(limit: 1) { text } noteCount } }');
  expect(body.errors).toBeUndefined();
  expect(body.data?.['campaigns']).toHaveLength(20);
  expect((body.data?.['campaigns'] as unknown[])[19]).toEqual({ id: 'c20', notes: [{ text: 'Note 1 of c20' }], noteCount: 3 });
  expect((await fixtures.campaigns.look()).requests).toHaveLength(1);
  const { requests, batches } = await fixtures.notes.look();
  expect(requests).toHaveLength(1);
  expect(batches).toEqual([20]);
});

// Broken by: an address that a client gives itself, one that goes where nobody needs it, or that of a server taken for a visitor's.
it('says with a mutation who sends it from a browser, and with nothing else', async () => {
  const mutation = 'mutation { renameCampaign(id: "c1", name: "x") { id noteCount } }';
  const browser = { origin: 'https://shop.example', 'user-agent': 'Browser/1', 'x-forwarded-for': '6.6.6.6' };
  const { origin: _origin, ...server } = browser;
  expect((await gateway.graph(mutation, {}, browser)).body.errors).toBeUndefined();
  await gateway.graph(mutation, {}, server);
  await gateway.graph('{ campaigns(limit: 1) { id noteCount } }', {}, browser);
  const said = (await fixtures.campaigns.look()).requests.map(({ headers }) => Object.keys(browser).map((name) => headers[name]));
  const nothing = [undefined, undefined, undefined];
  expect(said).toEqual([['https://shop.example', 'Browser/1', '127.0.0.1'], nothing, nothing]);
  const { requests } = await fixtures.notes.look();
  expect(requests.map(({ headers }) => headers['x-forwarded-for'])).toEqual([undefined, undefined, undefined]);
});
