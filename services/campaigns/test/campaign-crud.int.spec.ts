import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CampaignsUnderTest, startCampaigns } from './campaigns-under-test.js';

let sut: CampaignsUnderTest;
let editor: string;
beforeAll(async () => {
  sut = await startCampaigns();
  editor = await sut.token();
});
afterAll(() => sut.stop());

const input = { name: 'Spring', platform: 'adwords', currency: 'eur', startDate: '2026-03-01', dailyBudget: 12.5 };
const createMutation =
  'mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { id name platform status currency dailyBudget startDate endDate version spend ctr } }';
const updateMutation =
  'mutation ($id: ID!, $input: UpdateCampaignInput!) { updateCampaign(id: $id, input: $input) { id name version endDate } }';

const create = async (extra: object = {}, token = editor): Promise<string> => {
  const { data, errors } = await sut.service.graphql<{ createCampaign: { id: string } }>(token, createMutation, {
    input: { ...input, ...extra },
  });
  expect(errors).toEqual([]);
  return (data as { createCampaign: { id: string } }).createCampaign.id;
};

it('creates a campaign under its canonical platform, with one event and one audit entry', async () => {
  await sut.takeEvents();
  const { data } = await sut.service.graphql(editor, createMutation, { input });
  expect(data).toMatchObject({
    createCampaign: {
      name: 'Spring',
      platform: 'Google',
      status: 'DRAFT',
      currency: 'EUR',
      dailyBudget: 12.5,
      endDate: null,
      version: 1,
      spend: 0,
      ctr: null,
    },
  });
  const { id } = (data as { createCampaign: { id: string } }).createCampaign;
  const events = await sut.takeEvents();
  expect(events.map((event) => event.type).filter((type) => type !== 'workspace.updated.v1')).toEqual(['campaign.created.v1']);
  expect(events.at(-1)?.payload).toMatchObject({
    campaign: { id, platform: 'Google', dailyBudgetMicros: 12_500_000 },
    actor: 'local-editor',
  });
  const read = await sut.service.graphql(
    editor,
    'query ($id: ID!) { campaign(id: $id) { changes { action actor changes { field before after } } } }',
    { id },
  );
  expect(read.data).toMatchObject({ campaign: { changes: [{ action: 'created', actor: 'local-editor' }] } });
});

it('announces a workspace once, on its first write', async () => {
  const token = await sut.token('editor', 'fresh');
  await create({}, token);
  await create({}, token);
  const events = (await sut.takeEvents()).filter((event) => event.workspaceId === 'fresh');
  expect(events.map((event) => event.type)).toEqual(['workspace.updated.v1', 'campaign.created.v1', 'campaign.created.v1']);
});

it('updates by expectedVersion, tells the current one when stale, and says nothing of a change that changes nothing', async () => {
  const id = await create();
  await sut.takeEvents();
  const first = await sut.service.graphql(editor, updateMutation, {
    id,
    input: { expectedVersion: 1, name: 'Summer', endDate: '2026-09-01' },
  });
  expect(first.data).toMatchObject({ updateCampaign: { name: 'Summer', version: 2, endDate: '2026-09-01' } });
  const stale = await sut.service.graphql(editor, updateMutation, { id, input: { expectedVersion: 1, name: 'Autumn' } });
  expect(stale.errors[0]?.extensions).toMatchObject({ code: 'CONFLICT', currentVersion: 2 });
  const same = await sut.service.graphql(editor, updateMutation, { id, input: { expectedVersion: 2, name: 'Summer' } });
  expect(same.data).toMatchObject({ updateCampaign: { version: 2 } });
  const cleared = await sut.service.graphql(editor, updateMutation, { id, input: { expectedVersion: 2, endDate: null } });
  expect(cleared.data).toMatchObject({ updateCampaign: { version: 3, endDate: null } });
  const events = await sut.takeEvents();
  expect(events.map((event) => event.payload['changed'])).toEqual([['name', 'endDate'], ['endDate']]);
});

it('refuses an end before the start, also when only one of them is sent', async () => {
  const id = await create({ endDate: '2026-04-01' });
  const { errors } = await sut.service.graphql(editor, updateMutation, { id, input: { expectedVersion: 1, startDate: '2026-05-01' } });
  expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
});

it('does one of two concurrent updates of the same version', async () => {
  const id = await create();
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_unused, index) =>
      sut.service.graphql(editor, updateMutation, { id, input: { expectedVersion: 1, name: `n${index}` } }),
    ),
  );
  expect(answers.filter((answer) => answer.errors.length === 0)).toHaveLength(1);
  expect(new Set(answers.flatMap((answer) => answer.errors.map((error) => error.extensions.code)))).toEqual(new Set(['CONFLICT']));
});

it('deletes softly: gone from lists and by id, once, with one event', async () => {
  const id = await create({ name: 'Doomed' });
  await sut.takeEvents();
  const remove = () => sut.service.graphql(editor, 'mutation ($id: ID!) { deleteCampaign(id: $id) }', { id });
  expect((await remove()).data).toEqual({ deleteCampaign: true });
  expect((await remove()).data).toEqual({ deleteCampaign: false });
  const read = await sut.service.graphql(
    editor,
    'query ($id: ID!) { campaign(id: $id) { id } campaigns(filter: {search: "Doomed"}) { id } }',
    { id },
  );
  expect(read.data).toEqual({ campaign: null, campaigns: [] });
  expect((await sut.takeEvents()).map((event) => event.type)).toEqual(['campaign.deleted.v1']);
  const { rows } = await sut.database.pool.query('select deleted_at is not null as deleted from campaign where id = $1', [id]);
  expect(rows).toEqual([{ deleted: true }]);
});

it('does a write once for each idempotency key, also when the repeats come at the same time', async () => {
  await sut.takeEvents();
  const request = () =>
    sut.service.graphql<{ createCampaign: { id: string } }>(editor, createMutation, { input: { ...input, clientMutationId: 'once' } });
  const answers = await Promise.all(Array.from({ length: 6 }, request));
  expect(new Set(answers.map((answer) => answer.data?.createCampaign.id)).size).toBe(1);
  expect((await sut.takeEvents()).filter((event) => event.type === 'campaign.created.v1')).toHaveLength(1);
  const other = await sut.service.graphql(editor, createMutation, { input: { ...input, name: 'Other', clientMutationId: 'once' } });
  expect(other.errors[0]?.extensions.code).toBe('IDEMPOTENCY_KEY_REUSED');
  const elsewhere = await sut.service.graphql(await sut.token('editor', 'elsewhere'), createMutation, {
    input: { ...input, name: 'Other', clientMutationId: 'once' },
  });
  expect(elsewhere.errors).toEqual([]);
});

it('answers the same over REST, with Location, Idempotency-Key and problem+json', async () => {
  const post = (key: string, name = 'Rest') =>
    sut.service.rest(editor, 'POST', '/v1/campaigns', { ...input, name }, { 'idempotency-key': key });
  const created = await post('r1');
  expect(created.status).toBe(201);
  const campaign = (await created.json()) as { id: string; version: number };
  expect(created.headers.get('location')).toBe(`/v1/campaigns/${campaign.id}`);
  expect(((await (await post('r1')).json()) as { id: string }).id).toBe(campaign.id);
  expect((await post('r1', 'Else')).status).toBe(409);

  const stale = await sut.service.rest(editor, 'PATCH', `/v1/campaigns/${campaign.id}`, { expectedVersion: 9, name: 'X' });
  expect(stale.status).toBe(409);
  expect(stale.headers.get('content-type')).toContain('application/problem+json');
  expect(await stale.json()).toMatchObject({ code: 'CONFLICT', status: 409, currentVersion: 1 });

  expect((await sut.service.rest(editor, 'DELETE', `/v1/campaigns/${campaign.id}`)).status).toBe(204);
  expect((await sut.service.rest(editor, 'GET', `/v1/campaigns/${campaign.id}`)).status).toBe(404);
});

it('resolves twenty references in one query of the database', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, (_unused, index) => create({ name: `ref ${index}` })));
  const queries: string[] = [];
  const { seams } = await import('@pca/service-kit');
  const stop = seams.query.use(({ text }) => void queries.push(text));
  const { data } = await sut.service.graphql<{ _entities: { id: string; name: string }[] }>(
    editor,
    'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Campaign { id name } } }',
    { r: ids.map((id) => ({ __typename: 'Campaign', id })) },
  );
  stop();
  expect(data?._entities.map((entity) => entity.id)).toEqual(ids);
  expect(queries.filter((text) => text.includes('from campaign c'))).toHaveLength(1);
});

it('keeps workspace settings, for its owner only, and tells the others', async () => {
  const owner = await sut.token('owner', 'settings');
  await sut.takeEvents();
  const update = (token: string, settings: object) =>
    sut.service.graphql(token, 'mutation ($i: UpdateWorkspaceInput!) { updateWorkspace(input: $i) { timeZone firstDayOfWeek ipPolicy } }', {
      i: settings,
    });
  expect((await update(await sut.token('editor', 'settings'), { timeZone: 'Europe/Berlin' })).errors[0]?.extensions.code).toBe('FORBIDDEN');
  expect((await update(owner, { timeZone: 'Mars/Base' })).errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  expect((await update(owner, { timeZone: 'Europe/Berlin', firstDayOfWeek: 7 })).data).toEqual({
    updateWorkspace: { timeZone: 'Europe/Berlin', firstDayOfWeek: 7, ipPolicy: 'DROP' },
  });
  await update(owner, { timeZone: 'Europe/Berlin' });
  expect((await sut.takeEvents()).map((event) => event.type)).toEqual(['workspace.updated.v1', 'workspace.updated.v1']);
});
