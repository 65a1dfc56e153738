import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { locksOfThisDatabase } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ImportReport } from '../src/imports/import-report.js';
import { ImportStore } from '../src/imports/import.store.js';
import { type CampaignsUnderTest, startCampaigns } from './campaigns-under-test.js';

let sut: CampaignsUnderTest;
beforeAll(async () => {
  sut = await startCampaigns({ IMPORT_BYTES_MAX: 1_000_000 });
});
afterAll(() => sut.stop());

interface Answer {
  importId: string;
  state: string;
  report: ImportReport;
}
const csv = { 'content-type': 'text/csv' };
const send = async (
  token: string,
  file: string | Buffer,
  query = 'platform=Google&currency=USD',
  headers: Record<string, string> = csv,
) => {
  const response = await sut.service.rest(token, 'POST', `/v1/imports?${query}`, file, headers);
  return { status: response.status, body: (await response.json()) as Answer & { code: string; detail: string } };
};

it('stores the good rows, reports the bad ones with line, column and reason, and creates the campaigns', async () => {
  const token = await sut.token('editor', 'first');
  const file =
    'date,campaign,impressions,clicks,cost\n2026-02-01,A,100,10,"1,234.50"\n2026-02-01,B,5,-1,1\n2026-02-30,B,5,1,1\n2026-02-02,B,5,1,2.5\n';
  const { status, body } = await send(token, file);
  expect(status).toBe(200);
  expect(body.report).toMatchObject({ rows: 2, rejected: 2, changedRows: 2, campaignsCreated: 2, campaignsMerged: 2, summedRows: 0 });
  expect(body.report.rejectedRows.map(({ line, column }) => [line, column])).toEqual([
    [3, 'clicks'],
    [4, 'date'],
  ]);
  const { data } = await sut.service.graphql(
    token,
    '{ campaigns(orderBy: {field: NAME, direction: ASC}) { name platform currency status startDate spend clicks } }',
  );
  expect(data).toEqual({
    campaigns: [
      { name: 'A', platform: 'Google', currency: 'USD', status: 'ACTIVE', startDate: '2026-02-01', spend: 1234.5, clicks: 10 },
      { name: 'B', platform: 'Google', currency: 'USD', status: 'ACTIVE', startDate: '2026-02-02', spend: 2.5, clicks: 1 },
    ],
  });
  const job = await sut.service.rest(token, 'GET', `/v1/imports/${body.importId}`);
  expect(await job.json()).toMatchObject({ state: 'DONE', report: { rows: 2 } });
  const staged = await sut.database.pool.query('select count(*)::int as n from import_row');
  expect(staged.rows).toEqual([{ n: 0 }]);
});

it('changes nothing and emits nothing for the same file again, and a restatement replaces its own rows', async () => {
  const token = await sut.token('editor', 'again');
  const file = (clicks: number) => `date,campaign,age,clicks\n2026-02-01,A,18,${clicks}\n2026-02-01,A,25,7\n`;
  await send(token, file(5));
  await sut.takeEvents();
  expect((await send(token, file(5))).body.report).toMatchObject({ rows: 2, changedRows: 0, campaignsCreated: 0 });
  expect(await sut.takeEvents()).toEqual([]);
  expect((await send(token, file(6))).body.report).toMatchObject({ changedRows: 1 });
  expect((await sut.takeEvents()).map((event) => event.payload)).toMatchObject([{ days: [{ date: '2026-02-01', clicks: 13 }] }]);
});

it('gives a row the same breakdown as recordPerformance does, short or long', async () => {
  const token = await sut.token('editor', 'same-key');
  const long = 'ż'.repeat(250);
  const names = ['age', 'country', 'device', 'region'];
  await send(
    token,
    `date,campaign,${names.join(',')},clicks\n2026-02-01,A,${names.map(() => long).join(',')},5\n2026-02-01,A,18-24,,,,7\n`,
  );
  const listed = await sut.service.graphql<{ campaigns: { id: string }[] }>(token, '{ campaigns { id } }');
  const campaignId = listed.data?.campaigns[0]?.id;
  const rows = [
    { campaignId, date: '2026-02-01', clicks: 50, breakdown: names.map((name) => ({ name, value: long })) },
    { campaignId, date: '2026-02-01', clicks: 70, breakdown: [{ name: 'age', value: '18-24' }] },
  ];
  await sut.service.rest(token, 'POST', '/v1/campaigns/performance', { rows });
  const { data } = await sut.service.graphql(token, '{ campaigns { clicks } }');
  expect(data).toEqual({ campaigns: [{ clicks: 120 }] });
});

it('adds up rows that nothing tells apart, and says so', async () => {
  const token = await sut.token('editor', 'summed');
  const file = 'date,campaign,clicks\n2026-02-01,A,1\n2026-02-01,A,2\n2026-02-02,A,4\n';
  for (let n = 0; n < 2; n++) expect((await send(token, file)).body.report).toMatchObject({ rows: 3, summedRows: 1 });
  const { data } = await sut.service.graphql(token, '{ campaigns { clicks } }');
  expect(data).toEqual({ campaigns: [{ clicks: 7 }] });
});

it('finds a campaign again by the platform’s id, by our id and by name, and never one of another workspace', async () => {
  const token = await sut.token('editor', 'match');
  const other = await sut.token('editor', 'match-other');
  const create = async (of: string, name: string) =>
    (
      (await (
        await sut.service.rest(of, 'POST', '/v1/campaigns', { name, platform: 'Google', currency: 'USD', startDate: '2026-01-01' })
      ).json()) as { id: string }
    ).id;
  const mine = await create(token, 'Mine');
  const theirs = await create(other, 'Theirs');
  expect((await send(token, `date,campaign id,clicks\n2026-02-01,${mine},5\n`)).body.report.campaignsCreated).toBe(0);
  expect((await send(token, 'date,campaign,clicks\n2026-02-02,mine,6\n')).body.report.campaignsCreated).toBe(0);
  expect((await send(token, `date,campaign id,clicks\n2026-02-01,${theirs},5\n`)).body.report.campaignsCreated).toBe(1);
  const { data } = await sut.service.graphql(token, 'query ($id: ID!) { campaign(id: $id) { clicks } }', { id: mine });
  expect(data).toEqual({ campaign: { clicks: 11 } });
  const untouched = await sut.service.graphql(other, '{ campaigns { clicks } }');
  expect(untouched.data).toEqual({ campaigns: [{ clicks: 0 }] });
});

it('takes names that differ by case for one campaign, and a campaign named in two ways for a fault', async () => {
  const token = await sut.token('editor', 'case');
  const file = 'date,campaign,clicks\n2026-02-01,Foo,100\n2026-02-01,foo,7\n';
  for (const changedRows of [1, 0]) expect((await send(token, file)).body.report).toMatchObject({ rows: 2, rejected: 0, changedRows });
  const listed = await sut.service.graphql<{ campaigns: { id: string; clicks: number }[] }>(token, '{ campaigns { id clicks } }');
  expect(listed.data?.campaigns.map(({ clicks }) => clicks)).toEqual([107]);
  const id = listed.data?.campaigns[0]?.id ?? '';
  const both = await send(token, `date,campaign id,campaign,clicks\n2026-02-02,${id},,5\n2026-02-02,,FOO,6\n`);
  expect(both.body.report).toMatchObject({ rows: 1, rejected: 1 });
});

it('stores nothing of an import whose rows were lost, and says so', async () => {
  const token = await sut.token('editor', 'lost');
  const client = await sut.database.pool.connect();
  await client.query(`begin; select pg_advisory_xact_lock(hashtext('pca:import'), hashtext('lost'))`);
  const sending = send(token, 'date,campaign,clicks\n2026-02-01,A,1\n');
  await expect
    .poll(
      async () =>
        (await sut.database.pool.query(`select 1 from ${locksOfThisDatabase} and locktype = 'advisory' and not granted`)).rowCount,
    )
    .toBe(1);
  await sut.database.pool.query('truncate import_row');
  await client.query('commit');
  client.release();
  expect(await sending).toMatchObject({ status: 503, body: { code: 'SERVICE_UNAVAILABLE' } });
  const { data } = await sut.service.graphql(token, '{ campaigns { id } }');
  expect(data).toEqual({ campaigns: [] });
});

it('does not sweep away the rows of an import that is alive', async () => {
  const token = await sut.token('editor', 'alive');
  const client = await sut.database.pool.connect();
  await client.query(`begin; select pg_advisory_xact_lock(hashtext('pca:import'), hashtext('alive'))`);
  const sending = send(token, 'date,campaign,clicks\n2026-02-01,A,1\n');
  await expect
    .poll(
      async () =>
        (await sut.database.pool.query(`select 1 from ${locksOfThisDatabase} and locktype = 'advisory' and not granted`)).rowCount,
    )
    .toBe(1);
  await new ImportStore(sut.database).sweep();
  await client.query('commit');
  client.release();
  expect((await sending).body.report).toMatchObject({ rows: 1, changedRows: 1 });
});

it('rejects the rows of a campaign that is deleted while the file is read', async () => {
  const token = await sut.token('editor', 'deleted');
  await send(token, 'date,campaign,clicks\n2026-02-01,A,1\n2026-02-01,B,1\n');
  const listed = await sut.service.graphql<{ campaigns: { id: string; name: string }[] }>(token, '{ campaigns { id name } }');
  const id = listed.data?.campaigns.find(({ name }) => name === 'A')?.id;
  const client = await sut.database.pool.connect();
  await client.query('begin');
  await client.query('update campaign set deleted_at = now() where id = $1', [id]);
  const sending = send(token, 'date,campaign,clicks\n2026-02-02,A,1\n2026-02-02,B,1\n');
  await expect
    .poll(async () => (await sut.database.pool.query(`select 1 from ${locksOfThisDatabase} and not granted`)).rowCount)
    .toBeGreaterThan(0);
  await client.query('commit');
  client.release();
  expect((await sending).body.report).toMatchObject({ rows: 1, rejected: 1, changedRows: 1 });
});

it('refuses rows in another currency than their campaign has, stored or in the file', async () => {
  const token = await sut.token('editor', 'currencies');
  await send(token, 'date,campaign,clicks\n2026-02-01,A,1\n');
  const stored = await send(token, 'date,campaign,clicks\n2026-02-02,A,1\n', 'platform=Google&currency=EUR');
  expect(stored.body.report).toMatchObject({ rows: 0, rejected: 1 });
  const inFile = await send(token, 'date,campaign,currency,clicks\n2026-02-03,Z,USD,1\n2026-02-04,Z,EUR,1\n', 'platform=Google');
  expect(inFile.body.report).toMatchObject({ rows: 1, rejected: 1, rejectedRows: [{ line: 3 }] });
});

it('gives progress and the report as lines when asked to', async () => {
  const token = await sut.token('editor', 'lines');
  const response = await sut.service.rest(
    token,
    'POST',
    '/v1/imports?platform=Google&currency=USD',
    'date,campaign,clicks\n2026-02-01,A,1\n',
    { ...csv, accept: 'application/x-ndjson' },
  );
  const lines = (await response.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; state?: string });
  expect(lines.at(-1)).toMatchObject({ type: 'report', state: 'DONE', report: { rows: 1 } });
  const refused = await sut.service.rest(token, 'POST', '/v1/imports?platform=Google&currency=USD', 'no such columns\n1\n', {
    ...csv,
    accept: 'application/x-ndjson',
  });
  expect(JSON.parse((await refused.text()).trim().split('\n').at(-1) ?? '')).toMatchObject({
    type: 'problem',
    problem: { code: expect.stringMatching(/IMPORT_UNREADABLE|BAD_USER_INPUT/) },
  });
});

it('refuses what is no file, options that are none, and a file over the limit; nothing of it is kept', async () => {
  const token = await sut.token('editor', 'refused');
  expect((await send(token, 'date,campaign,clicks\n01-02-2026,A,1\n')).body).toMatchObject({ code: 'IMPORT_UNREADABLE' });
  expect((await send(token, '')).body.code).toBe('IMPORT_UNREADABLE');
  expect((await send(token, 'x', 'map=nonsense=1')).body.code).toBe('BAD_USER_INPUT');
  expect((await send(token, 'x', 'format=excel')).body.code).toBe('BAD_USER_INPUT');
  expect((await send(token, 'x', 'platform=Google&currency=ZZZ')).body.code).toBe('BAD_USER_INPUT');
  expect((await send(token, '{}', 'platform=Google', { 'content-type': 'application/json' })).body.code).toBe('UNSUPPORTED_MEDIA_TYPE');
  const big = `date,campaign,clicks\n${'2026-02-01,A,1\n'.repeat(100_000)}`;
  expect(await send(token, big)).toMatchObject({ status: 413, body: { code: 'PAYLOAD_TOO_LARGE' } });
  const { data } = await sut.service.graphql(token, '{ campaigns { id } }');
  expect(data).toEqual({ campaigns: [] });
  const staged = await sut.database.pool.query('select count(*)::int as n from import_row');
  expect(staged.rows).toEqual([{ n: 0 }]);
});

it('clears away what a client that left in the middle had sent', async () => {
  const token = await sut.token('editor', 'left');
  const abort = new AbortController();
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(`date,campaign,clicks\n${'2026-02-01,A,1\n'.repeat(20_000)}`)),
  });
  const request = fetch(`${sut.service.url}/v1/imports?platform=Google&currency=USD`, {
    method: 'POST',
    body,
    duplex: 'half',
    signal: abort.signal,
    headers: { ...csv, authorization: `Bearer ${token}` },
  } as RequestInit);
  const given = expect(request).rejects.toThrow();
  const jobs = async () => (await sut.database.pool.query(`select state from import_job where workspace_id = 'left'`)).rows;
  await expect.poll(jobs).toEqual([{ state: 'READING' }]);
  abort.abort();
  await given;
  await expect.poll(jobs).toEqual([{ state: 'FAILED' }]);
  // What was staged goes right behind that.
  await expect.poll(async () => (await sut.database.pool.query('select count(*)::int as n from import_row')).rows).toEqual([{ n: 0 }]);
});

it('imports two files of the same new campaigns at once into one campaign each', async () => {
  const token = await sut.token('editor', 'twice');
  const file = (age: number) =>
    `date,campaign id,age,clicks\n${Array.from({ length: 50 }, (_unused, n) => `2026-02-01,c${n},${age},1`).join('\n')}\n`;
  const answers = await Promise.all([send(token, file(1)), send(token, file(2)), send(token, file(3))]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  const { data } = await sut.service.graphql<{ campaigns: { clicks: number }[] }>(token, '{ campaigns(limit: 200) { clicks } }');
  expect(data?.campaigns).toEqual(Array.from({ length: 50 }, () => ({ clicks: 3 })));
});

const sample = process.env['PCA_SAMPLE_DATA'];
it.skipIf(!sample)('imports a real export of 1,143 rows into 3 campaigns, and a second time changes nothing', async () => {
  const token = await sut.token('editor', 'kag');
  const file = await readFile(join(sample ?? '', 'ads/KAG_conversion_data.csv'));
  const query = 'platform=Facebook&currency=USD&map=campaignId=xyz_campaign_id,conversions=Approved_Conversion';
  for (const changedRows of [1143, 0]) {
    expect((await send(token, file, query)).body.report).toMatchObject({ rows: 1143, rejected: 0, summedRows: 0, changedRows });
    const { data } = await sut.service.graphql(
      token,
      '{ metrics { totals { impressions clicks spend conversions } } campaignsPage { totalCount } }',
    );
    expect(data).toEqual({
      metrics: { totals: { impressions: 213_434_828, clicks: 38_165, spend: expect.closeTo(58_705.23, 2), conversions: 1_079 } },
      campaignsPage: { totalCount: 3 },
    });
  }
  const matched = await sut.service.graphql<{ campaigns: unknown[] }>(
    token,
    '{ campaigns(filter: {platform: "Facebook", min_spend: 1000}, limit: 10) { id name spend ctr conversions } }',
  );
  expect(matched.data?.campaigns).toHaveLength(2);
});
