import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Fixtures, gatewayEnv, startFixtures } from './gateway-harness.js';
import { type GatewayProcess, startGatewayProcess } from './gateway-process.js';

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  service: string;
}

interface TraceRequest {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: Omit<Span, 'service'>[] }[];
  }[];
}

const spans: Span[] = [];
/** An OTLP collector as far as the exporters are concerned. */
const collector = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request
    .on('data', (chunk: Buffer) => chunks.push(chunk))
    .on('end', () => {
      for (const { resource, scopeSpans } of (JSON.parse(Buffer.concat(chunks).toString()) as TraceRequest).resourceSpans) {
        const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push({ ...span, service });
      }
      response.setHeader('content-type', 'application/json').end('{}');
    });
});

let fixtures: Fixtures;
let token: string;
let endpoint: string;

beforeAll(async () => {
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  fixtures = await startFixtures({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
  token = await fixtures.issuer.issue({ role: 'admin' });
});
afterAll(async () => {
  await fixtures.stop();
  collector.close();
});

const ask = async (gateway: GatewayProcess, headers: Record<string, string> = {}): Promise<unknown> => {
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify({ query: '{ campaigns(limit: 1) { id noteCount } }' }),
  });
  return response.json();
};

const answer = { data: { campaigns: [{ id: 'c1', noteCount: 3 }] } };

it('calls no host but those it was told of, from its start to its end', async () => {
  const gateway = await startGatewayProcess(gatewayEnv(fixtures), ['--import', resolve(import.meta.dirname, 'record-network.mjs')]);
  expect(await ask(gateway)).toEqual(answer);
  await fetch(`${gateway.url}/`);
  await fetch(`${gateway.url}/graphql`, { headers: { accept: 'text/html' } });
  expect(await gateway.end()).toBe(0);
  const calls = gateway.output().match(/^network .*/gm) ?? [];
  expect(calls).toContain('network connect 127.0.0.1');
  expect(calls.filter((call) => !/ (127\.0\.0\.1|::1|localhost)$/.test(call))).toEqual([]);
});

it('carries one trace from the client through the gateway to both subgraphs', async () => {
  const gateway = await startGatewayProcess({ ...gatewayEnv(fixtures), OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  expect(await ask(gateway, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })).toEqual(answer);
  const servers = (): string[] =>
    spans
      .filter((span) => span.traceId === traceId && span.name === 'POST /graphql')
      .map(({ service }) => service)
      .sort();
  await expect.poll(servers).toEqual(['campaigns', 'gateway', 'notes']);
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const ancestors = (span: Span | undefined): string[] => (span ? [span.name, ...ancestors(byId.get(span.parentSpanId ?? ''))] : []);
  for (const service of ['campaigns', 'notes']) {
    const line = ancestors(spans.find((span) => span.service === service && span.traceId === traceId));
    expect(line.slice(0, 2)).toEqual(['POST /graphql', `POST ${service}`]);
    expect(line.at(-1)).toBe('POST /graphql');
  }
  expect(await gateway.end()).toBe(0);
});

it('answers what is under way when it is told to stop', async () => {
  const gateway = await startGatewayProcess(gatewayEnv(fixtures));
  await fixtures.reset();
  await fixtures.campaigns.behave({ delayMs: 1_000 });
  const asked = ask(gateway);
  await expect.poll(async () => (await fixtures.campaigns.look()).requests.length).toBe(1);
  const ended = gateway.end();
  expect(await asked).toEqual(answer);
  expect(await ended).toBe(0);
  await fixtures.reset();
});

it.each([
  [
    'every fault of the environment',
    { QUERY_DEPTH_MAX: 'x', BODY_BYTES_MAX: '-1' },
    78,
    /QUERY_DEPTH_MAX[\s\S]*BODY_BYTES_MAX|BODY_BYTES_MAX[\s\S]*QUERY_DEPTH_MAX/,
  ],
  ['a service without a URL', { SUBGRAPH_NOTES_URL: '' }, 1, /SUBGRAPH_NOTES_URL is not set, and the service notes is needed/],
  ['a URL that is none', { SUBGRAPH_NOTES_URL: 'nowhere' }, 78, /environment: SUBGRAPH_NOTES_URL/],
  [
    'no supergraph',
    { SUPERGRAPH_FILE: '/nonexistent/supergraph.graphql' },
    1,
    /the supergraph cannot be read from \/nonexistent\/supergraph.graphql/,
  ],
  ['the local issuer in production', { NODE_ENV: 'production' }, 1, /AUTH_JWKS_URL must be set/],
])('says in its log what keeps it from starting: %s', async (_name, env, code, line) => {
  const gateway = await startGatewayProcess({ ...gatewayEnv(fixtures), ...env });
  expect(await gateway.end()).toBe(code);
  expect(gateway.output()).toMatch(line);
});

it('refuses a supergraph that is none', async () => {
  const file = join(fixtures.folder, 'broken.graphql');
  await writeFile(file, 'type Query { x: Int }');
  const gateway = await startGatewayProcess({ ...gatewayEnv(fixtures), SUPERGRAPH_FILE: file });
  expect(await gateway.end()).toBe(1);
  expect(gateway.output()).toMatch(/gateway cannot start/);
  await rm(file);
});
