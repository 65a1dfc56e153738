import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Harness, startHarness } from './gateway-harness.js';

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.stop());
beforeEach(() => Promise.all([harness.campaigns.forget(), harness.notes.forget()]));

it('answers a query of one subgraph', async () => {
  const { status, body } = await harness.graph('{ campaigns(limit: 2) { id name spend } }');
  expect(body).toEqual({ data: { campaigns: [{ id: 'c1', name: 'Campaign 1', spend: 10.5 }, { id: 'c2', name: 'Campaign 2', spend: 21 }] } });
  expect(status).toBe(200);
});

it('joins two subgraphs and asks the second one for twenty keys in one batch', async () => {
  const { body } = await harness.graph('{ campaigns(limit: 20) { id notes(limit: 1) { text } noteCount } }');
  expect(body.errors).toBeUndefined();
  expect(body.data?.['campaigns']).toHaveLength(20);
  expect((body.data?.['campaigns'] as unknown[])[19]).toEqual({ id: 'c20', notes: [{ text: 'Note 1 of c20' }], noteCount: 3 });
  expect((await harness.campaigns.look()).requests).toHaveLength(1);
  const { requests, batches } = await harness.notes.look();
  expect(requests).toHaveLength(1);
  expect(batches).toEqual([20]);
});
