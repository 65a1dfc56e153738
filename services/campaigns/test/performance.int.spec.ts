import { seededRandom } from '@pca/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CampaignsUnderTest, startCampaigns } from './campaigns-under-test.js';

let sut: CampaignsUnderTest;
let editor: string;
beforeAll(async () => {
  sut = await startCampaigns();
  editor = await sut.token();
});
afterAll(() => sut.stop());

const create = async (extra: object = {}, token = editor): Promise<string> => {
  const response = await sut.service.rest(token, 'POST', '/v1/campaigns', {
    name: 'C',
    platform: 'Google',
    currency: 'USD',
    startDate: '2026-01-01',
    ...extra,
  });
  return ((await response.json()) as { id: string }).id;
};
const recordMutation = 'mutation ($rows: [PerformanceInput!]!) { recordPerformance(input: $rows) { recorded changed } }';
const record = (rows: object[], token = editor) =>
  sut.service.graphql<{ recordPerformance: { recorded: number; changed: number } }>(token, recordMutation, { rows });
const numbers = 'impressions clicks spend conversions conversionValue';

it('adds rows that differ by breakdown, and a restatement replaces just its own row', async () => {
  const id = await create();
  const day = { campaignId: id, date: '2026-02-01' };
  const slice = (age: string) => ({ ...day, breakdown: [{ name: 'age', value: age }] });
  await record([
    { ...slice('18-24'), impressions: 100, clicks: 10, spend: 1.5 },
    { ...slice('25-34'), impressions: 200, clicks: 20, spend: 2.25 },
  ]);
  await record([{ ...slice('18-24'), impressions: 150, clicks: 11, spend: 1 }]);
  const { data } = await sut.service.graphql(
    editor,
    `query ($id: ID!) { campaign(id: $id) { ${numbers} ctr performance { date ${numbers} cpc } } }`,
    { id },
  );
  expect(data).toEqual({
    campaign: {
      impressions: 350,
      clicks: 31,
      spend: 3.25,
      conversions: 0,
      conversionValue: 0,
      ctr: 31 / 350,
      performance: [{ date: '2026-02-01', impressions: 350, clicks: 31, spend: 3.25, conversions: 0, conversionValue: 0, cpc: 3.25 / 31 }],
    },
  });
});

it('takes the order of dimensions for nothing, and emits the sums of the changed days only', async () => {
  const id = await create();
  const both = [
    { name: 'age', value: '18' },
    { name: 'gender', value: 'F' },
  ];
  await record([{ campaignId: id, date: '2026-02-01', breakdown: both, clicks: 5 }]);
  await sut.takeEvents();
  expect((await record([{ campaignId: id, date: '2026-02-01', breakdown: both.toReversed(), clicks: 5 }])).data?.recordPerformance).toEqual(
    { recorded: 1, changed: 0 },
  );
  expect(await sut.takeEvents()).toEqual([]);
  await record([
    { campaignId: id, date: '2026-02-01', breakdown: both, clicks: 5 },
    { campaignId: id, date: '2026-02-02', clicks: 7 },
  ]);
  const events = await sut.takeEvents();
  expect(events.map((event) => event.payload)).toMatchObject([
    { campaignId: id, currency: 'USD', days: [{ date: '2026-02-02', clicks: 7 }] },
  ]);
});

it('stores all rows or none', async () => {
  const id = await create();
  const missing = '0198c5f0-0000-7000-8000-00000000ffff';
  const refused = await record([
    { campaignId: id, date: '2026-02-01', clicks: 5 },
    { campaignId: missing, date: '2026-02-01', clicks: 5 },
  ]);
  expect(refused.errors[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', campaignIds: [missing] });
  const twice = await record([
    { campaignId: id, date: '2026-02-01', clicks: 5 },
    { campaignId: id, date: '2026-02-01', clicks: 6 },
  ]);
  expect(twice.errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', rows: [0, 1] });
  const { data } = await sut.service.graphql(editor, 'query ($id: ID!) { campaign(id: $id) { clicks } }', { id });
  expect(data).toEqual({ campaign: { clicks: 0 } });
});

it('puts an instant on the day it falls on in the time zone of the workspace', async () => {
  const owner = await sut.token('owner', 'tokyo');
  await sut.service.graphql(owner, 'mutation { updateWorkspace(input: {timeZone: "Asia/Tokyo"}) { id } }');
  const id = await create({}, owner);
  await record([{ campaignId: id, date: '2026-02-01T20:00:00Z', clicks: 1 }], owner);
  const { data } = await sut.service.graphql(owner, 'query ($id: ID!) { campaign(id: $id) { performance { date } } }', { id });
  expect(data).toEqual({ campaign: { performance: [{ date: '2026-02-02' }] } });
});

describe('totals', () => {
  it('refuses to add currencies, names them, and counts the one that is asked for', async () => {
    const token = await sut.token('editor', 'money');
    const usd = await create({}, token);
    const eur = await create({ currency: 'EUR', platform: 'Meta' }, token);
    await record(
      [
        { campaignId: usd, date: '2026-02-01', spend: 10, clicks: 2 },
        { campaignId: eur, date: '2026-02-03', spend: 20, clicks: 3 },
      ],
      token,
    );
    const all = await sut.service.graphql(token, '{ metrics { currency } }');
    expect(all.errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', currencies: ['EUR', 'USD'] });
    const one = await sut.service.graphql(
      token,
      '{ metrics(currency: "eur") { id from to currency totals { spend cpc } series { date spend } } }',
    );
    expect(one.data).toMatchObject({
      metrics: {
        from: '2026-02-03',
        to: '2026-02-03',
        currency: 'EUR',
        totals: { spend: 20, cpc: 20 / 3 },
        series: [{ date: '2026-02-03', spend: 20 }],
      },
    });
    const byPlatform = await sut.service.graphql(
      token,
      '{ metrics(platform: "adwords", from: "2026-01-31", to: "2026-02-02") { platform totals { spend } series { date spend } } }',
    );
    expect(byPlatform.data).toEqual({
      metrics: {
        platform: 'Google',
        totals: { spend: 10 },
        series: [
          { date: '2026-01-31', spend: 0 },
          { date: '2026-02-01', spend: 10 },
          { date: '2026-02-02', spend: 0 },
        ],
      },
    });
    const { id } = (one.data as { metrics: { id: string } }).metrics;
    const again = await sut.service.graphql(
      token,
      'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Analytics { from totals { spend } } } }',
      {
        r: [{ __typename: 'Analytics', id }],
      },
    );
    expect(again.data).toEqual({ _entities: [{ from: '2026-02-03', totals: { spend: 20 } }] });
  });

  it('answers an empty workspace with zeros', async () => {
    const { data } = await sut.service.graphql(
      await sut.token('viewer', 'empty'),
      '{ metrics { currency totals { spend ctr } series { spend } } }',
    );
    expect(data).toEqual({ metrics: { currency: 'USD', totals: { spend: 0, ctr: null }, series: [{ spend: 0 }] } });
  });
});

it('records once for each idempotency key, and a stale repeat does not undo what came after', async () => {
  const campaignId = await create();
  const post = (clicks: number, key: string) =>
    sut.service.rest(
      editor,
      'POST',
      '/v1/campaigns/performance',
      { rows: [{ campaignId, date: '2026-02-01', clicks }] },
      { 'idempotency-key': key },
    );
  await post(1, 'k1');
  await post(2, 'k2');
  expect(await (await post(1, 'k1')).json()).toEqual({ recorded: 1, changed: 1 });
  expect((await post(3, 'k1')).status).toBe(409);
  const { data } = await sut.service.graphql(editor, 'query ($id: ID!) { campaign(id: $id) { clicks } }', { id: campaignId });
  expect(data).toEqual({ campaign: { clicks: 2 } });
});

it('forgets the currency of a campaign that was deleted', async () => {
  const token = await sut.token('editor', 'gone');
  const [usd, eur] = [await create({}, token), await create({ currency: 'EUR' }, token)];
  await record(
    [usd, eur].map((campaignId) => ({ campaignId, date: '2026-02-01', spend: 5 })),
    token,
  );
  await sut.service.rest(token, 'DELETE', `/v1/campaigns/${eur}`, undefined, { 'content-type': 'application/json' });
  const { data } = await sut.service.graphql(token, '{ metrics { currency totals { spend } } }');
  expect(data).toEqual({ metrics: { currency: 'USD', totals: { spend: 5 } } });
});

interface Sums {
  impressions: number;
  clicks: number;
  spend: number;
}

it('keeps the sums of life and of days equal to the rows, through random records, restatements and deletions', async () => {
  const random = seededRandom('sums');
  const workspace = 'sums';
  const token = await sut.token('editor', workspace);
  const platforms = ['Google', 'Meta'];
  const campaigns = await Promise.all(
    Array.from({ length: 6 }, async (_unused, index) => ({
      id: await create({ platform: platforms[index % 2] }, token),
      platform: platforms[index % 2],
    })),
  );
  const deleted = new Set<string>();
  const rows = new Map<string, { campaign: string; platform: string | undefined; date: string } & Sums>();
  const act = async (): Promise<void> => {
    const live = campaigns.filter(({ id }) => !deleted.has(id));
    if (random.int(25) === 0 && live.length > 2) {
      const { id } = random.pick(live);
      deleted.add(id);
      await sut.service.rest(token, 'DELETE', `/v1/campaigns/${id}`);
      return;
    }
    const input = new Map<string, object>();
    const changes = new Map<string, { campaign: string; platform: string | undefined; date: string } & Sums>();
    for (let n = random.int(6) + 1; n > 0; n--) {
      const campaign = random.pick(live);
      const date = `2026-0${1 + random.int(3)}-1${random.int(10)}`;
      const ad = random.int(3);
      const sums = { impressions: random.int(1000), clicks: random.int(100), spend: random.int(100_000_000) / 1_000_000 };
      const key = `${campaign.id} ${date} ${ad}`;
      input.set(key, { campaignId: campaign.id, date, ...(ad > 0 && { breakdown: [{ name: 'ad', value: String(ad) }] }), ...sums });
      changes.set(key, { campaign: campaign.id, platform: campaign.platform, date, ...sums });
    }
    const { errors } = await record([...input.values()], token);
    expect(errors).toEqual([]);
    for (const [key, row] of changes) rows.set(key, row);
  };
  for (let n = 0; n < 60; n++) await act();

  const live = [...rows.values()].filter((row) => !deleted.has(row.campaign));
  const sumOf = (of: typeof live) => ({
    impressions: of.reduce((total, row) => total + row.impressions, 0),
    clicks: of.reduce((total, row) => total + row.clicks, 0),
    spend: Math.round(of.reduce((total, row) => total + Math.round(row.spend * 1e6), 0)) / 1e6,
  });
  const list = await sut.service.graphql<{ campaigns: ({ id: string } & Sums)[] }>(
    token,
    '{ campaigns(limit: 200) { id impressions clicks spend } }',
  );
  expect(list.data?.campaigns).toHaveLength(campaigns.length - deleted.size);
  for (const { id, ...sums } of list.data?.campaigns ?? []) expect(sums).toEqual(sumOf(live.filter((row) => row.campaign === id)));
  for (const [from, to] of [
    ['2026-01-01', '2026-03-31'],
    ['2026-02-12', '2026-02-14'],
    ['2026-01-15', '2026-03-12'],
  ] as const) {
    const inRange = live.filter((row) => row.date >= from && row.date <= to);
    const query = `query ($p: String) { metrics(from: "${from}", to: "${to}", platform: $p, interval: MONTH) { totals { impressions clicks spend } series { date impressions } }
      campaigns(limit: 200, filter: {from: "${from}", to: "${to}", platform: $p}) { id impressions clicks spend } }`;
    for (const platform of [undefined, 'Meta']) {
      const expected = inRange.filter((row) => platform === undefined || row.platform === platform);
      const { data } = await sut.service.graphql<{
        metrics: { totals: Sums; series: { date: string; impressions: number }[] };
        campaigns: ({ id: string } & Sums)[];
      }>(token, query, { p: platform });
      expect(data?.metrics.totals).toEqual(sumOf(expected));
      for (const point of data?.metrics.series ?? []) {
        expect(point.impressions).toBe(sumOf(expected.filter((row) => row.date.slice(0, 7) === point.date.slice(0, 7))).impressions);
      }
      for (const { id, ...sums } of data?.campaigns ?? []) expect(sums).toEqual(sumOf(expected.filter((row) => row.campaign === id)));
    }
  }
});

it('keeps the sums right when many write the same campaigns at once', async () => {
  const token = await sut.token('editor', 'crowd');
  const ids = await Promise.all([create({}, token), create({}, token), create({}, token)]);
  const write = (n: number) =>
    record(
      (n % 2 ? ids : ids.toReversed()).map((campaignId) => ({
        campaignId,
        date: '2026-02-01',
        breakdown: [{ name: 'ad', value: String(n % 10) }],
        clicks: n,
      })),
      token,
    );
  const answers = await Promise.all(Array.from({ length: 40 }, (_unused, n) => write(n)));
  expect(answers.flatMap((answer) => answer.errors)).toEqual([]);
  const { rows } = await sut.database.pool.query(
    `select (select sum(clicks)::int from campaign where workspace_id = 'crowd') as life, (select sum(clicks)::int from daily_total where workspace_id = 'crowd') as days,
      (select sum(clicks)::int from performance where campaign_id = any($1)) as rows`,
    [ids],
  );
  expect(rows[0]).toEqual({ life: rows[0].rows, days: rows[0].rows, rows: rows[0].rows });
  expect(rows[0].rows).toBeGreaterThan(0);
});
