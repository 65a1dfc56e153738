import { SignJWT, UnsecuredJWT } from 'jose';
import { testIssuer } from '@pca/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CampaignsUnderTest, startCampaigns } from './campaigns-under-test.js';

let sut: CampaignsUnderTest;
let editor: string;
beforeAll(async () => {
  sut = await startCampaigns();
  editor = await sut.token();
});
afterAll(() => sut.stop());

const good = { name: 'C', platform: 'Google', currency: 'USD', startDate: '2026-01-01' };
const leaks = /select |insert |\/src\/|\/dist\/|node_modules|\.ts:|at .*\(|stack|postgres/i;

const refusedRest = async (
  method: string,
  path: string,
  body: unknown,
  code: string,
  status: number,
  headers?: Record<string, string>,
): Promise<void> => {
  const response = await sut.service.rest(editor, method, path, body, headers);
  const text = await response.text();
  expect({ status: response.status, code: (JSON.parse(text) as { code: string }).code }, `${method} ${path} ${text}`).toEqual({
    status,
    code,
  });
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  expect(text).not.toMatch(leaks);
};

describe('a campaign', () => {
  const cases: [string, object][] = [
    ['a negative budget', { dailyBudget: -1 }],
    ['a budget that is no number', { dailyBudget: 'NaN' }],
    ['an absurd budget', { dailyBudget: 1e300 }],
    ['dates reversed', { endDate: '2025-01-01' }],
    ['a day that does not exist', { startDate: '2026-02-30' }],
    ['a year that no calendar of ours has', { startDate: '9999-12-31' }],
    ['an unknown currency', { currency: 'XXQ' }],
    ['an empty name', { name: '   ' }],
    ['a NUL in the name', { name: 'a\0b' }],
    ['a lone surrogate in the name', { name: 'a\ud800b' }],
    ['a name of 10,000 characters', { name: 'x'.repeat(10_000) }],
    ['an unknown status', { status: 'LIVE' }],
    ['an unknown field', { isAdmin: true }],
    ['another workspace in the body', { workspaceId: 'theirs' }],
  ];
  it.each(cases)('is refused with %s, and nothing is stored', async (_name, extra) => {
    await refusedRest('POST', '/v1/campaigns', { ...good, ...extra }, 'BAD_USER_INPUT', 400);
    const { rows } = await sut.database.pool.query(
      `select count(*)::int as n from campaign where workspace_id = 'demo' and name <> 'kept'`,
    );
    expect(rows).toEqual([{ n: 0 }]);
  });

  it('is refused over GraphQL with NaN, Infinity and a date of the wrong shape', async () => {
    for (const text of ['dailyBudget: NaN', 'dailyBudget: 1e999', 'endDate: "31.12.2026"', 'endDate: 5', 'dailyBudget: -0.01']) {
      const { errors } = await sut.service.graphql(
        editor,
        `mutation { createCampaign(input: {name: "C", platform: "X", currency: "USD", startDate: "2026-01-01", ${text}}) { id } }`,
      );
      expect(['BAD_USER_INPUT', 'GRAPHQL_VALIDATION_FAILED', 'GRAPHQL_PARSE_FAILED'], text).toContain(errors[0]?.extensions.code);
      expect(JSON.stringify(errors)).not.toMatch(leaks);
    }
  });

  it('keeps a right-to-left name, and one that looks like SQL, as they are', async () => {
    for (const name of ['حملة الربيع', "Robert'); drop table campaign;--", '<script>alert(1)</script>', '100%_\\']) {
      const workspace = await sut.token('editor', 'names');
      const created = await sut.service.rest(workspace, 'POST', '/v1/campaigns', { ...good, name });
      expect(await created.json()).toMatchObject({ name });
      const { data } = await sut.service.graphql<{ campaigns: { name: string }[] }>(
        workspace,
        'query ($s: String) { campaigns(filter: {search: $s}) { name } }',
        { s: name },
      );
      expect(data?.campaigns.map((campaign) => campaign.name)).toContain(name);
    }
  });
});

describe('a list', () => {
  const ids = Array.from({ length: 10_000 }, (_unused, n) => `0198c5f0-0000-7000-8000-${String(n).padStart(12, '0')}`);
  const cases: [string, string, object?][] = [
    ['limit -1', '{ campaigns(limit: -1) { id } }'],
    ['limit 0', '{ campaigns(limit: 0) { id } }'],
    ['limit 201', '{ campaigns(limit: 201) { id } }'],
    ['limit 100,000', '{ campaigns(limit: 100000) { id } }'],
    ['a negative offset', '{ campaigns(offset: -1) { id } }'],
    ['first 201', '{ campaignsPage(first: 201) { edges { cursor } } }'],
    ['a cursor of nonsense', '{ campaignsPage(after: "bm9uc2Vuc2U") { edges { cursor } } }'],
    ['a range reversed', '{ campaigns(filter: {from: "2026-02-02", to: "2026-02-01"}) { id } }'],
    ['a range of a century', '{ metrics(from: "1926-01-01", to: "2026-01-01") { currency } }'],
    ['a NUL in the search', 'query ($s: String) { campaigns(filter: {search: $s}) { id } }', { s: 'a\0b' }],
    ['10,000 ids', 'query ($i: [ID!]) { campaigns(filter: {ids: $i}) { id } }', { i: ids }],
    ['an id that is none', '{ campaign(id: "1 or 1=1") { id } }'],
    ['a time zone that is none', '{ metrics(timeZone: "Mars/Base") { currency } }'],
    ['a range at the end of time', '{ metrics(from: "9999-12-20", to: "9999-12-31", interval: WEEK) { series { date } } }'],
    ['a negative min_spend', '{ campaigns(filter: {min_spend: -1}) { id } }'],
  ];
  it.each(cases)('is refused with %s', async (_name, query, variables) => {
    const { errors, data } = await sut.service.graphql(editor, query, variables);
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(data === null || Object.values(data).every((value) => value === null)).toBe(true);
    expect(JSON.stringify(errors)).not.toMatch(leaks);
  });

  it('finds nothing with SQL in the search, and the tables are still there', async () => {
    const { data, errors } = await sut.service.graphql(editor, `{ campaigns(filter: {search: "x'; drop table campaign; --"}) { id } }`);
    expect({ data, errors }).toEqual({ data: { campaigns: [] }, errors: [] });
  });

  it('takes no cursor of another order, and none with a value that is none', async () => {
    const forge = (value: string) =>
      Buffer.from(JSON.stringify(['SPEND', 'DESC', value, '0198c5f0-0000-7000-8000-000000000001'])).toString('base64url');
    const ask = (after: string, field: string) =>
      sut.service.graphql(editor, `{ campaignsPage(after: "${after}", orderBy: {field: ${field}}) { edges { cursor } } }`);
    expect((await ask(forge('1'), 'NAME')).errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect((await ask(forge('1); drop table campaign'), 'SPEND')).errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect((await ask(forge('1'), 'SPEND')).errors).toEqual([]);
    for (const value of ['2024-01-01 ::::+99', '2024-01-01 10:00:00+99:99', '2024-13-01 10:00:00+00', '2024-01-01 10:00:00+00']) {
      const cursor = Buffer.from(JSON.stringify(['CREATED_AT', 'DESC', value, '0198c5f0-0000-7000-8000-000000000001'])).toString(
        'base64url',
      );
      const { errors } = await ask(cursor, 'CREATED_AT');
      expect(
        errors.map((error) => error.extensions.code),
        value,
      ).toEqual(value.endsWith('10:00:00+00') && !value.includes('-13-') ? [] : ['BAD_USER_INPUT']);
    }
  });
});

describe('a series', () => {
  it('is refused before it is made, however many aliases it hides behind', async () => {
    const token = await sut.token('editor', 'series');
    for (let n = 0; n < 20; n++) await sut.service.rest(token, 'POST', '/v1/campaigns', { ...good, name: `n${n}` });
    const decade = 'performance(from: "2016-01-01", to: "2025-12-31") { date }';
    const { errors } = await sut.service.graphql(token, `{ campaigns(limit: 200) { ${decade} } }`);
    expect(errors[0]?.extensions).toMatchObject({ code: 'QUERY_TOO_COMPLEX', limit: 'points', max: 50_000 });
    const months = 'performance(from: "2016-01-01", to: "2025-12-31", interval: MONTH) { date }';
    expect((await sut.service.graphql(token, `{ campaigns(limit: 200) { ${months} } }`)).errors).toEqual([]);
    const aliases = Array.from(
      { length: 20 },
      (_unused, n) => `a${n}: metrics(from: "2016-01-01", to: "2025-12-31") { series { date } }`,
    ).join(' ');
    expect((await sut.service.graphql(token, `{ ${aliases} }`)).errors[0]?.extensions.code).toBe('QUERY_TOO_COMPLEX');
  });

  it('is refused where its sums would no longer be exact, and nothing of it is stored', async () => {
    const token = await sut.token('editor', 'exact');
    const created = await sut.service.rest(token, 'POST', '/v1/campaigns', good);
    const { id } = (await created.json()) as { id: string };
    const rows = Array.from({ length: 20 }, (_unused, n) => ({
      campaignId: id,
      date: '2026-02-01',
      spend: 999_999_999,
      breakdown: [{ name: 'ad', value: `${n}` }],
    }));
    const refused = await sut.service.rest(token, 'POST', '/v1/campaigns/performance', { rows });
    expect(await refused.json()).toMatchObject({ code: 'BAD_USER_INPUT', date: '2026-02-01' });
    const { data } = await sut.service.graphql(token, '{ campaigns { spend } }');
    expect(data).toEqual({ campaigns: [{ spend: 0 }] });
  });
});

describe('performance', () => {
  it('is refused with more rows than a call takes, fractions of clicks, negative spend and unknown fields', async () => {
    const created = await sut.service.rest(await sut.token('editor', 'perf'), 'POST', '/v1/campaigns', good);
    const { id } = (await created.json()) as { id: string };
    const row = { campaignId: id, date: '2026-02-01' };
    const bad = [
      Array.from({ length: 1001 }, () => row),
      [],
      [{ ...row, clicks: 1.5 }],
      [{ ...row, spend: -1 }],
      [{ ...row, clicks: 1e15 }],
      [{ ...row, workspaceId: 'x' }],
      [{ ...row, date: 'soon' }],
      'rows',
      null,
    ];
    for (const rows of bad) await refusedRest('POST', '/v1/campaigns/performance', { rows }, 'BAD_USER_INPUT', 400);
  });
});

describe('a request', () => {
  it('is refused with broken JSON, a wrong content type and a body over the limit', async () => {
    await refusedRest('POST', '/v1/campaigns', '{"name": ', 'BAD_REQUEST', 400, { 'content-type': 'application/json' });
    await refusedRest('POST', '/v1/campaigns', '<campaign/>', 'UNSUPPORTED_MEDIA_TYPE', 415, { 'content-type': 'application/xml' });
    await refusedRest('POST', '/v1/campaigns', JSON.stringify({ name: 'x'.repeat(2_000_000) }), 'PAYLOAD_TOO_LARGE', 413, {
      'content-type': 'application/json',
    });
    await refusedRest('POST', '/v1/campaigns', 'name=form&platform=Google', 'UNSUPPORTED_MEDIA_TYPE', 415, {
      'content-type': 'application/x-www-form-urlencoded',
    });
    await refusedRest('POST', '/v1/campaigns', 'name', 'UNSUPPORTED_MEDIA_TYPE', 415, { 'content-type': 'text/plain' });
    await refusedRest(
      'GET',
      `/v1/campaigns?ids=${'0198c5f0-0000-7000-8000-000000000001,'.repeat(2000)}`,
      undefined,
      'PAYLOAD_TOO_LARGE',
      413,
    );
    await refusedRest('GET', '/v1/campaigns/%', undefined, 'BAD_REQUEST', 400);
    await refusedRest('GET', '/v1/nothing', undefined, 'NOT_FOUND', 404);
    await refusedRest('PATCH', '/v1/campaigns/..%2f..%2fetc', { expectedVersion: 1 }, 'BAD_USER_INPUT', 400);
  });

  it('is refused with a token that is expired, forged, unsigned, of another issuer or audience, or without its claims', async () => {
    const other = await testIssuer();
    const now = Math.floor(Date.now() / 1000);
    const claims = { workspace: 'demo', scope: 'campaigns:read', sub: 'x', iss: 'pca-local', aud: 'pca-agent', exp: now + 60 };
    const [header, payload] = editor.split('.') as [string, string];
    const tampered = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), workspace: 'theirs' }),
    ).toString('base64url');
    const tokens = {
      expired: await sut.token('editor', 'demo', -10),
      forged: await other.issue({ role: 'admin' }),
      tampered: `${header}.${tampered}.${editor.split('.')[2]}`,
      'alg none': new UnsecuredJWT(claims).encode(),
      hmac: await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from('secret'.repeat(8))),
      garbage: 'a.b.c',
      long: 'a'.repeat(10_000),
    };
    for (const [name, token] of Object.entries(tokens)) {
      const response = await sut.service.rest(token, 'GET', '/v1/campaigns');
      expect(response.status, name).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      const { errors } = await sut.service.graphql(token, '{ campaigns { id } }');
      expect(errors[0]?.extensions.code, name).toBe('UNAUTHENTICATED');
    }
    await other.remove();
  });
});
