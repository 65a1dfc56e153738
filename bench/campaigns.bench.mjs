// The list of campaigns at the subgraph, beside the same SQL on a connection of its own: 100,000 campaigns with 90 days each.
// CAMPAIGNS and DAYS make it smaller for a try.
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createDatabaseIfMissing, startEmbeddedPostgres } from '@pca/embedded-postgres';
import { ensureLocalIssuer } from '@pca/service-kit';
import pg from 'pg';
import {
  listStatement,
  needsRangeSums,
  probeStatement,
  seesAll,
  withoutRange,
} from '../services/campaigns/dist/campaigns/campaign-query.js';
import { ms, printTable, quantile, seeded } from './lib/measure.mjs';

const campaigns = Number(process.env.CAMPAIGNS ?? 100_000);
const days = Number(process.env.DAYS ?? 90);
const asks = Number(process.env.ASKS ?? 400);
const port = 18_101;
const folder = await mkdtemp(join(tmpdir(), 'pca-bench-'));
const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), temporary: true });
const issuer = await ensureLocalIssuer(join(folder, 'auth'));
for (const name of ['campaigns', 'bus']) await createDatabaseIfMissing(postgres.url('postgres'), name);
const service = fork('services/campaigns/dist/main.js', {
  execPath: process.execPath,
  env: {
    PATH: process.env.PATH,
    PORT: String(port),
    LOG_LEVEL: 'warn',
    DATABASE_URL: postgres.url('campaigns'),
    BUS_URL: postgres.url('bus'),
    AUTH_JWKS_FILE: issuer.jwksFile,
    AUTH_ISSUER: issuer.issuer,
    AUTH_AUDIENCE: issuer.audience,
    APOLLO_TELEMETRY_DISABLED: 'true',
  },
});

/** Campaigns whose spend is skewed as it is in accounts: few spend much, most little. Ten other workspaces share the tables. */
const fill = async (client) => {
  await client.query(
    `insert into workspace (id, name) select case n when 0 then 'demo' else 'other-' || n end, 'w' from generate_series(0, 10) n`,
  );
  await client.query(
    `insert into campaign (id, workspace_id, name, platform, status, objective, currency, start_date)
     select gen_random_uuid(), case when n % 20 = 0 then 'other-' || 1 + n % 10 else 'demo' end,
       (array['Spring','Summer','Brand','Retarget','Prospecting','Launch'])[1 + n % 6] || ' ' || md5(n::text), (array['Google','Meta','TikTok','LinkedIn','Microsoft'])[1 + n % 5],
       (array['ACTIVE','ACTIVE','PAUSED','ENDED'])[1 + n % 4], (array['Leads','Sales','Reach'])[1 + n % 3], 'USD', date '2026-01-01' + n % 200
     from generate_series(1, $1::int) n`,
    [campaigns],
  );
  await client.query(
    `insert into performance
     select c.id, date '2026-06-01' + d, '', 100 + w * 10, w, w * 900000, w * 30000, w * 1500000
     from (select id, (power(random(), 4) * 3000)::bigint as w from campaign) c, generate_series(0, $1::int - 1) d`,
    [days],
  );
  await client.query(
    `update campaign c set impressions = s.i, clicks = s.c, spend_micros = s.s, conversions_micros = s.v, conversion_value_micros = s.w
     from (select campaign_id, sum(impressions) i, sum(clicks) c, sum(spend_micros) s, sum(conversions_micros) v, sum(conversion_value_micros) w from performance group by 1) s
     where c.id = s.campaign_id`,
  );
  await client.query('vacuum analyze');
};

const random = seeded(7);
const pick = (items) => items[Math.floor(random() * items.length)];
const orders = ['SPEND', 'CTR', 'CLICKS', 'CONVERSIONS', 'CPA', 'ROAS', 'NAME', 'CREATED_AT', 'START_DATE', 'IMPRESSIONS', 'CPC'];
const order = () => ({ field: pick(orders), direction: pick(['ASC', 'DESC']) });
const shapes = {
  'platform and min_spend, ordered': () => ({
    filter: { platform: pick(['Google', 'facebook', 'TikTok', 'Bing']), min_spend: pick([1000, 10_000, 50_000]) },
    order: order(),
  }),
  'status, objective and ctr, ordered': () => ({
    filter: { status: pick(['ACTIVE', 'PAUSED']), objective: pick(['leads', 'Reach']), min_ctr: pick([0, 0.01, 0.05]) },
    order: order(),
  }),
  'search, ordered': () => ({
    filter: {
      search: pick([
        'spring',
        'brand',
        Math.floor(random() * 4096)
          .toString(16)
          .padStart(3, '0'),
      ]),
    },
    order: order(),
  }),
  'no filter, ordered': () => ({ filter: {}, order: order() }),
  'days of one month, platform and search': () => ({
    filter: {
      from: '2026-07-01',
      to: '2026-07-31',
      platform: 'Google',
      search: Math.floor(random() * 65_536)
        .toString(16)
        .padStart(4, '0'),
    },
    order: order(),
  }),
  'days of one month, ordered by name or start': () => ({
    filter: { from: '2026-07-01', to: '2026-07-31' },
    order: { field: pick(['NAME', 'START_DATE', 'CREATED_AT']), direction: pick(['ASC', 'DESC']) },
  }),
  'days of one month, ordered by their spend': () => ({
    filter: { from: '2026-07-01', to: '2026-07-31', platform: pick(['Google', 'Meta']) },
    order: { field: 'SPEND', direction: 'DESC' },
    asks: 12,
  }),
};

const scans = (plan) => (plan['Node Type'] === 'Seq Scan' ? [plan['Relation Name']] : []).concat((plan.Plans ?? []).flatMap(scans));

/** What the store does with a request, on a connection of its own; returns the statements that it took. */
const runAlone = async (client, request) => {
  const { from, to } = request.filter;
  if ((from || to) && !needsRangeSums(request)) return runAlone(client, { ...request, filter: withoutRange(request.filter) });
  const probe = probeStatement(request);
  const probed = probe ? (await client.query(probe.text, probe.values)).rows.length : 0;
  if (probed === request.limit || seesAll(request)) return [probe];
  const statement = listStatement(request);
  await client.query(statement.text, statement.values);
  return probe ? [probe, statement] : [statement];
};

const measure = async (client, token, make) => {
  const ask = async ({ filter, order: orderBy }) => {
    const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({
        query:
          'query ($f: CampaignFilter, $o: CampaignOrder) { campaigns(filter: $f, orderBy: $o, limit: 20) { id name platform spend clicks ctr conversions } }',
        variables: { f: filter, o: orderBy },
      }),
    });
    const body = await response.json();
    if (body.errors) throw new Error(JSON.stringify(body.errors));
    return body.data.campaigns.length;
  };
  const own = [];
  const floor = [];
  const sequential = new Set();
  const plans = new Map();
  const first = make();
  const rounds = first.asks ?? asks;
  const unmeasured = Math.min(20, Math.floor(rounds / 4));
  for (let n = 0; n < rounds; n++) {
    const { asks: _asks, ...question } = make();
    const request = { workspaceId: 'demo', limit: 20, ...question };
    let started = performance.now();
    await ask(question);
    if (n >= unmeasured) own.push(performance.now() - started);
    started = performance.now();
    const statements = await runAlone(client, request);
    if (n >= unmeasured) floor.push(performance.now() - started);
    for (const statement of n < 60 ? statements : []) {
      const { rows } = await client.query(`explain (format json) ${statement.text}`, statement.values);
      const plan = rows[0]['QUERY PLAN'][0].Plan;
      for (const table of scans(plan)) sequential.add(table);
      const text = await client.query(`explain ${statement.text}`, statement.values);
      plans.set(plan['Node Type'] + JSON.stringify(scanNames(plan)), text.rows.map((row) => `    ${row['QUERY PLAN']}`).join('\n'));
    }
  }
  return { own, floor, sequential: [...sequential], plans };
};

const scanNames = (plan) => [plan['Node Type'], plan['Index Name'], ...(plan.Plans ?? []).map(scanNames)].filter(Boolean);

try {
  for (let tries = 0; ; tries++) {
    const ready = await fetch(`http://127.0.0.1:${port}/health/ready`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) break;
    if (tries > 200) throw new Error('the service did not start');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const client = new pg.Client({ connectionString: postgres.url('campaigns') });
  await client.connect();
  const started = performance.now();
  await fill(client);
  console.log(
    `${campaigns} campaigns with ${days} days each, filled in ${((performance.now() - started) / 1000).toFixed(0)} s; ${asks} questions of each kind, one at a time\n`,
  );
  const token = await issuer.issue({ role: 'viewer', ttlSeconds: 3600 });
  const rows = [];
  const plans = [];
  for (const [name, make] of Object.entries(shapes)) {
    const { own, floor, sequential, plans: seen } = await measure(client, token, make);
    rows.push([
      name,
      ms(quantile(own, 0.5)),
      ms(quantile(own, 0.95)),
      ms(quantile(floor, 0.95)),
      (quantile(own, 0.5) / quantile(floor, 0.5)).toFixed(2),
      sequential.length === 0 ? 'none' : sequential.join(', '),
    ]);
    plans.push(`  ${name}`, ...[...seen.values()].slice(0, 4));
  }
  printTable(['list of 20', 'p50', 'p95', 'p95 of the SQL alone', 'p50 to the SQL alone', 'sequential scans'], rows);
  console.log(`\nplans met, up to four of each kind:\n${plans.join('\n')}`);
  await client.end();
} finally {
  service.disconnect();
  await new Promise((resolve) => service.once('exit', resolve));
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}
