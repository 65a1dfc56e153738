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
