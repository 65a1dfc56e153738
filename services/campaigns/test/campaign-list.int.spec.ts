import { type GraphqlAnswer, seededRandom } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { orderExpression, type OrderField, orderFields } from '../src/campaigns/campaign-order.js';
import { listStatement, probedMax } from '../src/campaigns/campaign-query.js';
import { CampaignStore } from '../src/campaigns/campaign.store.js';
import { type CampaignsUnderTest, startCampaigns } from './campaigns-under-test.js';

interface Listed {
  id: string;
  name: string;
  platform: string;
  status: string;
  objective: string | null;
  spend: number;
  impressions: number;
  clicks: number;
  conversions: number;
  conversionValue: number;
  startDate: string;
  createdAt: string;
}

interface Page {
  edges: { node: Listed }[];
  pageInfo: { hasNextPage: boolean; endCursor: string };
  totalCount: number;
}

const fields = 'id name platform status objective spend impressions clicks conversions conversionValue startDate createdAt';
let sut: CampaignsUnderTest;
let editor: string;
let all: Listed[];

beforeAll(async () => {
  sut = await startCampaigns();
  editor = await sut.token();
  const random = seededRandom('campaigns');
  const names = ['Spring', 'spring sale', '100% off_today', 'مرحبا', 'Ünïcode', 'back\\slash', 'Zeta'];
  for (let n = 0; n < 60; n++) {
    const response = await sut.service.rest(editor, 'POST', '/v1/campaigns', {
      name: random.pick(names),
      platform: random.pick(['Google', 'Meta', 'Own Network']),
      currency: 'USD',
      status: random.pick(['ACTIVE', 'PAUSED', 'DRAFT']),
      objective: random.pick(['Leads', 'Reach', null]),
      startDate: `2026-01-0${1 + random.int(5)}`,
    });
    const { id } = (await response.json()) as { id: string };
    if (random.int(4) > 0) {
      const rows = [
        {
          campaignId: id,
          date: '2026-02-01',
          impressions: random.int(5) * 100,
          clicks: random.int(5),
          spend: random.int(6) * 500,
          conversions: random.int(3),
          conversionValue: random.int(3) * 10,
        },
      ];
      await sut.service.rest(editor, 'POST', '/v1/campaigns/performance', { rows });
    }
  }
  const { data } = await sut.service.graphql<{ campaigns: Listed[] }>(editor, `{ campaigns(limit: 200) { ${fields} } }`);
  all = data?.campaigns ?? [];
  expect(all).toHaveLength(60);
});
afterAll(() => sut.stop());

const over = (numerator: number, denominator: number): number => (denominator === 0 ? -1 : numerator / denominator);
const valueOf: Record<OrderField, (campaign: Listed) => number | string> = {
  NAME: (campaign) => campaign.name.toLowerCase(),
  SPEND: (campaign) => campaign.spend,
  IMPRESSIONS: (campaign) => campaign.impressions,
  CLICKS: (campaign) => campaign.clicks,
  CONVERSIONS: (campaign) => campaign.conversions,
  CTR: (campaign) => over(campaign.clicks, campaign.impressions),
  CPC: (campaign) => over(campaign.spend, campaign.clicks),
  CPA: (campaign) => over(campaign.spend, campaign.conversions),
  ROAS: (campaign) => over(campaign.conversionValue, campaign.spend),
  START_DATE: (campaign) => campaign.startDate,
  CREATED_AT: (campaign) => campaign.createdAt,
};

const isSorted = (values: (number | string)[], direction: 'ASC' | 'DESC'): boolean =>
  values.every(
    (value, index) =>
      index === 0 ||
      (direction === 'ASC' ? (values[index - 1] as number) <= (value as number) : (values[index - 1] as number) >= (value as number)),
  );

it('pages through every order by cursor: each campaign once, sorted, and the same as by offset', async () => {
  for (const field of orderFields) {
    for (const direction of ['ASC', 'DESC'] as const) {
      const seen: Listed[] = [];
      let after: string | null = null;
      do {
        const answer: GraphqlAnswer<{ campaignsPage: Page }> = await sut.service.graphql(
          editor,
          `query ($o: CampaignOrder, $a: String) { campaignsPage(first: 7, after: $a, orderBy: $o) { totalCount pageInfo { hasNextPage endCursor } edges { cursor node { ${fields} } } } }`,
          { o: { field, direction }, a: after },
        );
        expect(answer.errors).toEqual([]);
        const page = answer.data?.campaignsPage;
        expect(page?.totalCount).toBe(60);
        seen.push(...(page?.edges ?? []).map((edge) => edge.node));
        after = page?.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
      } while (after);
      expect(new Set(seen.map((campaign) => campaign.id)).size, `${field} ${direction}`).toBe(60);
      // The order of texts is the database's collation; its twin would be another implementation of collation.
      if (field !== 'NAME') expect(isSorted(seen.map(valueOf[field]), direction), `${field} ${direction}`).toBe(true);
      const byOffset = await sut.service.graphql<{ campaigns: Listed[] }>(
        editor,
        `query ($o: CampaignOrder) { campaigns(orderBy: $o, limit: 15, offset: 30) { id } }`,
        { o: { field, direction } },
      );
      expect(byOffset.data?.campaigns.map(({ id }) => id)).toEqual(seen.slice(30, 45).map(({ id }) => id));
    }
  }
});

it('filters as a walk over all campaigns does', async () => {
  const random = seededRandom('filters');
  for (let n = 0; n < 80; n++) {
    const maybe = <T>(value: T): T | undefined => (random.int(3) === 0 ? value : undefined);
    const filter = {
      platform: maybe(random.pick(['google ads', 'FACEBOOK', 'own network', 'Bing'])),
      status: maybe(random.pick(['ACTIVE', 'PAUSED'])),
      objective: maybe(random.pick(['LEADS', 'reach'])),
      search: maybe(random.pick(['SPRING', '100%', '_', '\\', 'مرح', 'e'])),
      min_spend: maybe(random.int(4) * 500),
      max_spend: maybe(random.int(5) * 500),
      min_ctr: maybe(random.pick([0, 0.005, 0.01])),
      max_ctr: maybe(random.pick([0.01, 0.02])),
      min_conversions: maybe(random.int(3)),
    };
    const platform = { 'google ads': 'Google', FACEBOOK: 'Meta', 'own network': 'Own Network', Bing: 'Microsoft' }[filter.platform ?? ''];
    const ctrOf = (campaign: Listed): number => over(campaign.clicks, campaign.impressions);
    const expected = all.filter(
      (campaign) =>
        (filter.platform === undefined || campaign.platform === platform) &&
        (filter.status === undefined || campaign.status === filter.status) &&
        (filter.objective === undefined || campaign.objective?.toLowerCase() === filter.objective.toLowerCase()) &&
        (filter.search === undefined || campaign.name.toLowerCase().includes(filter.search.toLowerCase())) &&
        (filter.min_spend === undefined || campaign.spend >= filter.min_spend) &&
        (filter.max_spend === undefined || campaign.spend <= filter.max_spend) &&
        (filter.min_ctr === undefined || ctrOf(campaign) >= filter.min_ctr) &&
        (filter.max_ctr === undefined || (campaign.impressions > 0 && ctrOf(campaign) <= filter.max_ctr)) &&
        (filter.min_conversions === undefined || campaign.conversions >= filter.min_conversions),
    );
    const { data, errors } = await sut.service.graphql<{ campaigns: { id: string }[]; campaignsPage: { totalCount: number } }>(
      editor,
      'query ($f: CampaignFilter) { campaigns(filter: $f, limit: 200) { id } campaignsPage(filter: $f, first: 1) { totalCount } }',
      { f: filter },
    );
    expect(errors, JSON.stringify(filter)).toEqual([]);
    expect(data?.campaigns.map(({ id }) => id).toSorted(), JSON.stringify(filter)).toEqual(expected.map(({ id }) => id).toSorted());
    expect(data?.campaignsPage.totalCount).toBe(expected.length);
  }
});

it('finds the same page by its probe as by gathering all, among more campaigns than a probe looks at', async () => {
  await sut.database.pool.query(`insert into workspace (id, name) values ('many', 'many')`);
  await sut.database.pool.query(
    `insert into campaign (id, workspace_id, name, platform, status, currency, start_date, spend_micros, clicks, impressions)
     select gen_random_uuid(), 'many', 'n' || n % 50, (array['Google', 'Meta'])[1 + n % 2], 'ACTIVE', 'USD', date '2026-01-01' + n % 9, (n * 7919 % 5000)::bigint * 1000000, n % 13, n % 700
     from generate_series(1, $1::int) n`,
    [probedMax * 2],
  );
  const random = seededRandom('probe');
  const [client, store] = [sut.database.pool, new CampaignStore(sut.database)];
  for (let n = 0; n < 60; n++) {
    const filter = random.pick([
      {},
      { platform: 'Google' },
      { min_spend: 4990 },
      { max_spend: 5 },
      { search: 'n7' },
      { min_ctr: 0.5 },
      { platform: 'Meta', min_spend: 100 },
    ]);
    const request = {
      workspaceId: 'many',
      filter,
      order: { field: random.pick(orderFields), direction: random.pick(['ASC', 'DESC'] as const) },
      limit: 1 + random.int(30),
      offset: random.int(2) * random.int(4500),
    };
    const { text, values } = listStatement(request);
    const expected = await client.query<{ id: string }>(text, values);
    const page = await store.list(request);
    expect(
      page.map(({ campaign }) => campaign.id),
      JSON.stringify(request),
    ).toEqual(expected.rows.map(({ id }) => id));
  }
});

it('lists over REST with the same filters and cursors', async () => {
  const first = (await (await sut.service.rest(editor, 'GET', '/v1/campaigns?min_spend=500&orderBy=spend:asc&first=5')).json()) as {
    campaigns: Listed[];
    endCursor: string;
  };
  const rest = (await (
    await sut.service.rest(editor, 'GET', `/v1/campaigns?min_spend=500&orderBy=spend:asc&first=200&after=${first.endCursor}`)
  ).json()) as { campaigns: Listed[] };
  const expected = all.filter((campaign) => campaign.spend >= 500);
  expect([...first.campaigns, ...rest.campaigns].map(({ id }) => id).toSorted()).toEqual(expected.map(({ id }) => id).toSorted());
});

it('has an index for each order, with the same expression', async () => {
  const { rows } = await sut.database.pool.query<{ indexdef: string }>(
    `select indexdef from pg_indexes where indexname like 'campaign_order_%'`,
  );
  expect(rows).toHaveLength(orderFields.length);
  const client = await sut.database.pool.connect();
  try {
    await client.query('set enable_seqscan = off; set enable_sort = off; set enable_bitmapscan = off');
    for (const field of orderFields) {
      const { sql } = orderExpression({ field, direction: 'DESC' }, 'c');
      const plan = await client.query<{ 'QUERY PLAN': string }>(
        `explain select id from campaign c where workspace_id = 'demo' and deleted_at is null order by ${sql} desc, c.id desc limit 10`,
      );
      expect(plan.rows.map((row) => row['QUERY PLAN']).join('\n'), field).toContain(`campaign_order_${field.toLowerCase()}`);
    }
  } finally {
    client.release(true);
  }
});
