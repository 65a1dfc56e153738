import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { freePort } from '@pca/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Fixtures, type RunningGateway, startFixtures, startGateway } from './gateway-harness.js';

const openapiFile = resolve(import.meta.dirname, '../../../docs/openapi.json');
const { paths } = JSON.parse(readFileSync(openapiFile, 'utf8')) as {
  paths: Record<string, Record<string, { tags: string[]; security?: unknown }>>;
};
/** Operations that take a token, with the service that describes them; events in have a way of their own. */
const operations = Object.entries(paths).flatMap(([path, item]) =>
  Object.entries(item).flatMap(([method, { tags, security }]) =>
    security ? [] : [{ method: method.toUpperCase(), path, service: String(tags[0]).split(' ')[0] as 'analytics' | 'campaigns' }],
  ),
);

let fixtures: Fixtures;
let gateway: RunningGateway;
let token: string;
/** What analytics does instead of an echo. */
let behave: RequestListener | undefined;
const servers: Server[] = [];
const urls: Record<string, string> = {};
let reached: string[];

const echo =
  (name: string): RequestListener =>
  (request, response) => {
    reached.push(name);
    if (name === 'analytics' && behave) return behave(request, response);
    request.resume().once('end', () => response.end(`${name} ${request.method} ${request.url}`));
  };

beforeAll(async () => {
  fixtures = await startFixtures();
  token = await fixtures.issuer.issue({ role: 'admin' });
  for (const name of ['campaigns', 'analytics']) {
    const server = createServer(echo(name)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    urls[`SUBGRAPH_${name.toUpperCase()}_URL`] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
});
afterAll(async () => {
  for (const server of servers) server.close().closeAllConnections();
  await fixtures.stop();
});
beforeEach(() => {
  reached = [];
  behave = undefined;
});
afterEach(() => gateway.stop());

const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${gateway.url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } });
const start = async (settings: Record<string, string> = {}): Promise<void> => {
  gateway = await startGateway(fixtures, { ...urls, ...settings });
};
const problemOf = async (response: Response): Promise<unknown> => [response.status, await response.json()];

// Broken by: a documented route that the gateway does not know, or hands to another service.
it('hands each documented route to the service that describes it', async () => {
  await start();
  expect(operations.length).toBeGreaterThan(20);
  for (const { method, path, service } of operations) {
    const url = `${path.replace('{id}', encodeURIComponent('a/b ü?'))}?x=1`;
    const response = await ask(url, { method });
    expect(await response.text(), `${method} ${path}`).toBe(`${service} ${method} ${url}`);
  }
});

// Broken by: a route beside those of the table, a token that is looked at by the service alone.
it('hands nothing else of analytics on, and nothing without a token', async () => {
  await start();
  for (const path of ['/v1/analyticsx', '/v1/analytic']) expect((await ask(path)).status, path).toBe(404);
  const response = await fetch(`${gateway.url}/v1/analytics/users`);
  expect(await problemOf(response)).toMatchObject([401, { code: 'UNAUTHENTICATED' }]);
  expect(reached).toEqual([]);
});

// Broken by: a line of the table without its limits.
it('bounds the bodies and the time of analytics', async () => {
  await start({ BODY_BYTES_MAX: '1000', REQUEST_MS_MAX: '1200' });
  const large = await ask('/v1/analytics/erasures', { method: 'POST', body: 'x'.repeat(1_001) });
  expect(await problemOf(large)).toMatchObject([413, { code: 'PAYLOAD_TOO_LARGE', bytesMax: 1_000 }]);
  expect(reached).toEqual([]);
  behave = () => undefined;
  expect(await problemOf(await ask('/v1/analytics/users'))).toMatchObject([504, { code: 'TIMEOUT', service: 'analytics' }]);
});

// Broken by: a gateway that waits for a service, or does not boot without one that nothing needs.
it('names analytics when it is down, and boots where there is none', async () => {
  await start({ SUBGRAPH_ANALYTICS_URL: `http://127.0.0.1:${await freePort()}` });
  expect(await problemOf(await ask('/v1/analytics/users'))).toMatchObject([503, { code: 'SERVICE_UNAVAILABLE', service: 'analytics' }]);
  expect(await (await ask('/v1/campaigns')).text()).toBe('campaigns GET /v1/campaigns');
  await gateway.stop();
  gateway = await startGateway(fixtures);
  expect((await ask('/v1/analytics/users')).status).toBe(404);
});
