import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CampaignsUnderTest, startCampaigns } from './campaigns-under-test.js';

let sut: CampaignsUnderTest;
let id: string;
let importId: string;
let foreigner: string;
beforeAll(async () => {
  sut = await startCampaigns();
  const token = await sut.token('editor', 'acme-7f3');
  const created = await sut.service.rest(token, 'POST', '/v1/campaigns', {
    name: 'Secret',
    platform: 'Google',
    currency: 'CHF',
    startDate: '2026-01-01',
  });
  id = ((await created.json()) as { id: string }).id;
  await sut.service.rest(token, 'POST', '/v1/campaigns/performance', { rows: [{ campaignId: id, date: '2026-02-01', clicks: 4242 }] });
  const imported = await sut.service.rest(
    token,
    'POST',
    '/v1/imports?platform=Google&currency=CHF',
    'date,campaign,clicks\n2026-02-01,Secret 2,4242\n',
    { 'content-type': 'text/csv' },
  );
  importId = ((await imported.json()) as { importId: string }).importId;
  foreigner = await sut.token('owner', 'theirs');
});
afterAll(() => sut.stop());

/** What belongs to the other workspace. The number counts only where it is a value: a random id holds its digits now and then. */
const theirs = /Secret|(?<=[:[])4242(?=[,}\]])|CHF|acme-7f3/;

/** Every query and mutation of the schema with arguments that name what belongs to the other workspace. */
const operations: Record<string, { text: string; variables?: object }> = {
  campaigns: { text: '{ campaigns(limit: 200) { id name clicks performance { clicks } changes { actor } } }' },
  campaignsPage: { text: '{ campaignsPage { totalCount edges { node { id name } } } }' },
  campaign: { text: 'query ($id: ID!) { campaign(id: $id) { id name } }' },
  metrics: { text: '{ metrics { totals { clicks } series { clicks } } }' },
  workspace: { text: '{ workspace { id reportingCurrency } }' },
  _entities: {
    text: 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Campaign { name clicks performance { clicks } } } }',
  },
  _service: { text: '{ _service { sdl } }' },
  createCampaign: {
    text: 'mutation { createCampaign(input: {name: "Theirs", platform: "X", currency: "USD", startDate: "2026-01-01"}) { id } }',
  },
  updateCampaign: { text: 'mutation ($id: ID!) { updateCampaign(id: $id, input: {expectedVersion: 1, name: "Stolen"}) { id } }' },
  deleteCampaign: { text: 'mutation ($id: ID!) { deleteCampaign(id: $id) }' },
  recordPerformance: {
    text: 'mutation ($id: ID!) { recordPerformance(input: [{campaignId: $id, date: "2026-02-01", clicks: 1}]) { changed } }',
  },
  updateWorkspace: { text: 'mutation { updateWorkspace(input: {name: "Theirs"}) { id } }' },
};

it('shows and changes nothing of another workspace, by any query or mutation of the schema', async () => {
  const schema = await sut.service.graphql<{
    __schema: { queryType: { fields: { name: string }[] }; mutationType: { fields: { name: string }[] } };
  }>(foreigner, '{ __schema { queryType { fields { name } } mutationType { fields { name } } } }');
  const names = [...(schema.data?.__schema.queryType.fields ?? []), ...(schema.data?.__schema.mutationType.fields ?? [])].map(
    ({ name }) => name,
  );
  expect(names.toSorted(), 'an operation that this test does not know').toEqual(Object.keys(operations).toSorted());
  for (const [name, { text }] of Object.entries(operations)) {
    const variables = text.includes('$r') ? { r: [{ __typename: 'Campaign', id }] } : text.includes('$id') ? { id } : undefined;
    const answer = await sut.service.graphql(foreigner, text, variables);
    expect(JSON.stringify(answer), name).not.toMatch(theirs);
  }
  const mine = await sut.service.graphql(
    await sut.token('viewer', 'acme-7f3'),
    'query ($id: ID!) { campaign(id: $id) { name clicks version } }',
    { id },
  );
  expect(mine.data).toEqual({ campaign: { name: 'Secret', clicks: 4242, version: 1 } });
  expect(JSON.stringify(mine.data).replace('Secret', '')).toMatch(theirs);
});

it('shows and changes nothing of another workspace over REST', async () => {
  const requests: [string, string, object?][] = [
    ['GET', '/v1/campaigns'],
    ['GET', '/v1/campaigns/metrics'],
    ['GET', `/v1/campaigns/${id}`],
    ['GET', `/v1/campaigns/${id}/performance`],
    ['PATCH', `/v1/campaigns/${id}`, { expectedVersion: 1, name: 'Stolen' }],
    ['DELETE', `/v1/campaigns/${id}`],
    ['POST', '/v1/campaigns/performance', { rows: [{ campaignId: id, date: '2026-02-01', clicks: 1 }] }],
    ['GET', `/v1/imports/${importId}`],
  ];
  for (const [method, path, body] of requests) {
    const response = await sut.service.rest(foreigner, method, path, body);
    const text = await response.text();
    expect(text, `${method} ${path}`).not.toMatch(theirs);
    if (path.includes(id) || path.includes(importId)) expect(response.status, `${method} ${path}`).toBe(404);
  }
});

it('needs the scope of each operation, and a token for all', async () => {
  const viewer = await sut.token('viewer', 'acme-7f3');
  for (const name of ['createCampaign', 'updateCampaign', 'deleteCampaign', 'recordPerformance', 'updateWorkspace']) {
    const { text } = operations[name] as { text: string };
    const answer = await sut.service.graphql(viewer, text, text.includes('$id') ? { id } : undefined);
    expect(answer.errors[0]?.extensions.code, name).toBe('FORBIDDEN');
  }
  for (const [name, { text }] of Object.entries(operations)) {
    if (name === '_service') continue;
    const variables = text.includes('$r') ? { r: [{ __typename: 'Campaign', id }] } : text.includes('$id') ? { id } : undefined;
    const answer = await sut.service.graphql('', text, variables);
    expect(answer.errors[0]?.extensions.code, name).toBe('UNAUTHENTICATED');
  }
  const sre = await sut.token('sre', 'acme-7f3');
  for (const name of ['campaigns', 'campaignsPage', 'campaign', 'metrics', 'workspace', '_entities']) {
    const { text } = operations[name] as { text: string };
    const variables = text.includes('$r') ? { r: [{ __typename: 'Campaign', id }] } : text.includes('$id') ? { id } : undefined;
    const answer = await sut.service.graphql(sre, text, variables);
    expect(answer.errors[0]?.extensions.code, name).toBe('FORBIDDEN');
    expect(JSON.stringify(answer.data), name).not.toMatch(theirs);
  }
  expect((await sut.service.rest(undefined, 'GET', '/v1/campaigns')).status).toBe(401);
  expect((await sut.service.rest(viewer, 'POST', '/v1/imports', 'x', { 'content-type': 'text/csv' })).status).toBe(403);
});
