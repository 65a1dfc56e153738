import { writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { ensureLocalIssuer } from '@pca/service-kit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type GraphBody, type Fixtures, type RunningGateway, startFixtures, startGateway } from './gateway-harness.js';

let fixtures: Fixtures;
let gateway: RunningGateway;
let admin: string;

beforeAll(async () => {
  fixtures = await startFixtures();
  gateway = await startGateway(fixtures);
  admin = await gateway.token();
});
afterAll(async () => {
  await gateway.stop();
  await fixtures.stop();
});

const post = (body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${admin}`, ...headers },
    body,
  });
const codeOf = async (response: Response): Promise<string | undefined> => {
  const body = (await response.json()) as GraphBody & { code?: string };
  return body.code ?? body.errors?.[0]?.extensions.code;
};
const query = JSON.stringify({ query: '{ campaigns(limit: 1) { id } }' });

it('answers with its token, and with its status and code', async () => {
  const response = await post(query);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ data: { campaigns: [{ id: 'c1' }] } });
});

it.each([
  ['no token', async () => undefined],
  ['an expired token', async () => `Bearer ${await fixtures.issuer.issue({ role: 'admin', ttlSeconds: -60 })}`],
  [
    'the key of a foreign issuer',
    async () => `Bearer ${await (await ensureLocalIssuer(join(fixtures.folder, 'foreign'))).issue({ role: 'admin' })}`,
  ],
  [
    'alg none',
    async () =>
      `Bearer ${new UnsecuredJWT({ workspace: 'demo', scope: 'campaigns:read' }).setSubject('x').setIssuer('pca-local').setAudience('pca-agent').setExpirationTime('1h').encode()}`,
  ],
  ['a forged signature', async () => `Bearer ${admin.slice(0, -8)}AAAAAAAA`],
  [
    'another name of the issuer',
    async () => {
      const { privateKey } = await generateKeyPair('ES256');
      return `Bearer ${await new SignJWT({ workspace: 'demo', scope: 'campaigns:read' }).setProtectedHeader({ alg: 'ES256', kid: 'local' }).setSubject('x').setIssuer('evil').setAudience('pca-agent').setExpirationTime('1h').sign(privateKey)}`;
    },
  ],
  ['no bearer', async () => 'Basic YWRtaW46YWRtaW4='],
])('refuses %s with 401 UNAUTHENTICATED in the shape of GraphQL', async (_name, make) => {
  const authorization = await make();
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
    body: query,
  });
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toBe('Bearer');
  expect(await codeOf(response)).toBe('UNAUTHENTICATED');
});

it('lets services refuse what the scopes do not allow', async () => {
  const sre = await gateway.token('sre');
  const { status, body } = await gateway.graph('{ campaign(id: "c1") { id } }', {}, { authorization: `Bearer ${sre}` });
  expect(status).toBe(200);
  expect(body.errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN', scope: 'campaigns:read', service: 'campaigns' });
});

it.each([
  ['broken JSON', '{"query": "{ campaigns', {}, 400, 'BAD_REQUEST'],
  ['an empty body', '', {}, 400, 'BAD_REQUEST'],
  ['a batch', `[${query},${query}]`, {}, 400, 'BAD_USER_INPUT'],
  ['no query', '{"variables":{}}', {}, 400, 'BAD_USER_INPUT'],
  ['a query that is no text', '{"query":7}', {}, 400, 'BAD_USER_INPUT'],
  ['variables that are no object', '{"query":"{ campaigns { id } }","variables":[1]}', {}, 400, 'BAD_USER_INPUT'],
  ['an operation that is not there', '{"query":"query A { campaigns { id } }","operationName":"B"}', {}, 400, 'BAD_USER_INPUT'],
  ['two operations and no name', '{"query":"query A { campaigns { id } } query B { campaigns { id } }"}', {}, 400, 'BAD_USER_INPUT'],
  ['a syntax error', '{"query":"{ campaigns "}', {}, 400, 'GRAPHQL_PARSE_FAILED'],
  ['an unknown field', '{"query":"{ campaigns { nope } }"}', {}, 400, 'GRAPHQL_VALIDATION_FAILED'],
  [
    'a variable of another type',
    '{"query":"query($n: Int!) { campaigns(limit: $n) { id } }","variables":{"n":"x"}}',
    {},
    400,
    'BAD_USER_INPUT',
  ],
  ['a missing variable', '{"query":"query($n: Int!) { campaigns(limit: $n) { id } }"}', {}, 400, 'BAD_USER_INPUT'],
  ['plain text', query, { 'content-type': 'text/plain' }, 400, 'CSRF_REFUSED'],
  ['a form', 'query=x', { 'content-type': 'application/x-www-form-urlencoded' }, 400, 'CSRF_REFUSED'],
  ['multipart', 'x', { 'content-type': 'multipart/form-data; boundary=x' }, 400, 'CSRF_REFUSED'],
  ['another content type', '<a/>', { 'content-type': 'application/xml' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ['a NUL in the query', JSON.stringify({ query: '{ campaigns\0 { id } }' }), {}, 400, 'GRAPHQL_PARSE_FAILED'],
  ['an escaped NUL in the query', JSON.stringify({ query: '{ campaign(id: "a\\u0000b") { id } }' }), {}, 400, 'BAD_USER_INPUT'],
  [
    'a NUL in a variable',
    JSON.stringify({ query: 'query($id: ID!) { campaign(id: $id) { id } }', variables: { id: 'a\0b' } }),
    {},
    400,
    'BAD_USER_INPUT',
  ],
  ['a subscription', '{"query":"subscription { x }"}', {}, 400, 'BAD_USER_INPUT'],
])('refuses %s', async (_name, body, headers, status, code) => {
  const response = await post(body, headers);
  expect([response.status, await codeOf(response)]).toEqual([status, code]);
});

it.each(['', '?query=mutation{renameCampaign(id:"c1",name:"x"){id}}', '?query={campaigns{id}}'])(
  'answers no operation sent with GET: %s',
  async (search) => {
    const response = await fetch(`${gateway.url}/graphql${search}`, {
      headers: { authorization: `Bearer ${admin}`, accept: 'application/json' },
    });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
    expect(await codeOf(response)).toBe('METHOD_NOT_ALLOWED');
  },
);

it('refuses a body of 100 MB without reading it', async () => {
  const before = process.memoryUsage.rss();
  const chunk = Buffer.alloc(65_536, 0x20);
  const outcome = await new Promise<{ status: number | undefined; code: string; sent: number }>((resolve, reject) => {
    const request = httpRequest(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${admin}` },
    });
    let sent = 0;
    request.on('response', (response) => {
      let text = '';
      response
        .setEncoding('utf8')
        .on('data', (part: string) => (text += part))
        .on('end', () => {
          request.destroy();
          resolve({ status: response.statusCode, code: (JSON.parse(text) as { code: string }).code, sent });
        });
    });
    request.on('error', reject);
    const write = (): void => {
      while (sent < 100 * 1_048_576 && !request.destroyed) {
        sent += chunk.length;
        if (!request.write(chunk)) {
          request.once('drain', write);
          return;
        }
      }
      request.end();
    };
    write();
  });
  expect(outcome).toMatchObject({ status: 413, code: 'PAYLOAD_TOO_LARGE' });
  const more = process.memoryUsage.rss() - before;
  process.stdout.write(`sent ${(outcome.sent / 1_048_576).toFixed(1)} MiB of the body, held ${(more / 1_048_576).toFixed(0)} MiB more\n`);
  expect(outcome.sent).toBeLessThan(20 * 1_048_576);
  expect(more).toBeLessThan(64 * 1_048_576);
});

it('refuses a length of 100 MB at once, as a problem', async () => {
  const response = await post(Buffer.alloc(100 * 1_048_576, 0x20));
  expect(response.status).toBe(413);
  expect(response.headers.get('content-type')).toMatch('application/problem+json');
  expect(await codeOf(response)).toBe('PAYLOAD_TOO_LARGE');
});

it('shows nothing of its insides in an error of a service', async () => {
  const { status, body } = await gateway.graph('{ leaking conflicting campaigns(limit: 1) { id } }');
  expect(status).toBe(200);
  expect(body.data).toEqual({ leaking: null, conflicting: null, campaigns: [{ id: 'c1' }] });
  const byPath = Object.fromEntries((body.errors ?? []).map((error) => [error.path?.[0], error]));
  expect(byPath['leaking']?.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR', service: 'campaigns' });
  expect(byPath['conflicting']).toMatchObject({
    message: 'The campaign has changed',
    extensions: { code: 'CONFLICT', currentVersion: 7, service: 'campaigns' },
  });
  expect(JSON.stringify(body)).not.toMatch(/select|\/srv|10\.0\.0|127\.0\.0\.1|stack/i);
});

it('hands on the token, its request id and nothing else of the client', async () => {
  await fixtures.campaigns.forget();
  const { headers } = await gateway.graph(
    '{ campaigns(limit: 3) { id } }',
    {},
    {
      'x-request-id': 'my-id-1',
      cookie: 'a=b',
      'x-secret': '1',
      'accept-language': 'de',
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    },
  );
  expect(headers.get('x-request-id')).toBe('my-id-1');
  const [seen] = (await fixtures.campaigns.look()).requests;
  expect(seen?.headers['x-request-id']).toBe('my-id-1');
  expect(seen?.headers.authorization).toMatch(/^Bearer /);
  expect(Object.keys(seen?.headers ?? {}).sort()).toEqual([
    'accept',
    'authorization',
    'connection',
    'content-length',
    'content-type',
    'host',
    'x-request-id',
  ]);
});

it('answers in the media type of GraphQL over HTTP when it is asked for', async () => {
  const response = await post(query, { accept: 'application/graphql-response+json, application/json;q=0.9' });
  expect(response.headers.get('content-type')).toBe('application/graphql-response+json; charset=utf-8');
});

it('refuses a Host header that does not name this machine', async () => {
  const statusFor = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(gateway.url, { headers: { host } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on('error', reject).end();
    });
  expect(await statusFor('evil.example:8000')).toBe(403);
  expect(await statusFor('127.0.0.1.evil.example')).toBe(403);
  expect(await statusFor('localhost:8000')).toBe(200);
  expect(await statusFor('[::1]:8000')).toBe(200);
});

it('sends security headers with everything, and lets no other origin in', async () => {
  for (const path of ['/', '/docs', '/openapi.json', '/health/live', '/nothing', '/assets/home.css']) {
    const { headers } = await fetch(`${gateway.url}${path}`, { headers: { origin: 'https://evil.example' } });
    expect(headers.get('x-content-type-options'), path).toBe('nosniff');
    expect(headers.get('content-security-policy'), path).toMatch(/frame-ancestors 'none'/);
    expect(headers.get('content-security-policy'), path).not.toMatch(/unsafe-eval|script-src[^;]*unsafe-inline/);
    expect(headers.get('access-control-allow-origin'), path).toBeNull();
  }
  const preflight = await fetch(`${gateway.url}/graphql`, {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  });
  expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
  expect(preflight.status).toBe(404);
});

it('ends a request whose body does not arrive', async () => {
  const slow = await startGateway(fixtures, { REQUEST_MS_MAX: '300' });
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(slow.url).port), '127.0.0.1');
      let text = '';
      socket
        .on('data', (part) => (text += part.toString()))
        .on('close', () => resolve(text))
        .on('error', reject);
      void slow
        .token()
        .then((token) =>
          socket.write(
            `POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"que`,
          ),
        );
    });
    expect(answer).toMatch(/^HTTP\/1.1 408/);
    expect(answer).toMatch('"code":"REQUEST_TIMEOUT"');
    // It may be too slow for so short a time, once.
    await expect.poll(async () => (await slow.graph('{ campaigns(limit: 1) { id } }')).status).toBe(200);
  } finally {
    await slow.stop();
  }
});

it('is ready with a service down, and says so', async () => {
  const ready = async (): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(`${gateway.url}/health/ready`);
    return { status: response.status, body: await response.json() };
  };
  await expect.poll(ready).toEqual({ status: 200, body: { status: 'ready', notReady: [] } });
});

it('serves the OpenAPI document with itself as the server', async () => {
  const file = join(fixtures.folder, 'openapi.json');
  const missing = await fetch(`${gateway.url}/openapi.json`);
  expect([200, 404]).toContain(missing.status);
  await writeFile(
    file,
    JSON.stringify({ openapi: '3.1.0', info: { title: 'x', version: '1' }, servers: [{ url: 'http://elsewhere' }], paths: {} }),
  );
  const other = await startGateway(fixtures, { OPENAPI_FILE: file });
  try {
    expect(await (await fetch(`${other.url}/openapi.json`)).json()).toMatchObject({ openapi: '3.1.0', servers: [{ url: '/' }] });
  } finally {
    await other.stop();
  }
});
