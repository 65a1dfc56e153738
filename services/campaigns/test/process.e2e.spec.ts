import { type ChildProcess, fork } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { EventEnvelope } from '@pca/contracts';
import { askGraphql, askRest, freePort, testIssuer, type TestIssuer, type TestPostgres, testPostgres } from '@pca/testing';
import { PostgresEventBus, readTopic } from '@pca/event-bus';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

const main = join(import.meta.dirname, '../dist/main.js');
let postgres: TestPostgres;
let issuer: TestIssuer;
let databaseUrl: string;
let busUrl: string;
let child: ChildProcess | undefined;
let output = '';

beforeAll(async () => {
  postgres = await testPostgres();
  issuer = await testIssuer();
  databaseUrl = (await postgres.createDatabase()).url;
  busUrl = (await postgres.createDatabase()).url;
});
afterEach(() => void child?.kill('SIGKILL'));
afterAll(async () => {
  await postgres.stop();
  await issuer.remove();
});

const start = (env: Record<string, string>): ChildProcess => {
  output = '';
  child = fork(main, {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], APOLLO_TELEMETRY_DISABLED: 'true', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return child;
};
const exitOf = (process: ChildProcess): Promise<number | null> => new Promise((resolve) => process.once('exit', resolve));

const startReady = async (env: Record<string, string> = {}): Promise<string> => {
  const port = await freePort();
  start({ PORT: String(port), DATABASE_URL: databaseUrl, BUS_URL: busUrl, ...issuer.env, ...env });
  const url = `http://127.0.0.1:${port}`;
  await expect
    .poll(
      () =>
        fetch(`${url}/health/ready`).then(
          (response) => response.status,
          () => 0,
        ),
      { message: output },
    )
    .toBe(200);
  return url;
};
const campaign = { name: 'C', platform: 'Google', currency: 'USD', startDate: '2026-01-01' };
/** Imports of a workspace that are under way. */
const reading = async (workspace: string): Promise<number | null> => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query(`select from import_job where workspace_id = $1 and state = 'READING'`, [workspace])).rowCount;
  } finally {
    await client.end();
  }
};

it('names every fault of its environment and exits', async () => {
  const code = await exitOf(start({ PORT: 'eighty', LOG_LEVEL: 'loud' }));
  expect(code).toBe(78);
  for (const name of ['PORT', 'LOG_LEVEL', 'DATABASE_URL', 'BUS_URL']) expect(output).toContain(`environment: ${name}: `);
  expect(output).not.toContain('    at ');
});

it('refuses the local issuer in production', async () => {
  expect(await exitOf(start({ PORT: '1', NODE_ENV: 'production', DATABASE_URL: databaseUrl, BUS_URL: busUrl, ...issuer.env }))).toBe(1);
  expect(output).toContain('AUTH_JWKS_URL must be set');
});

it('shows rate, time and errors by route, operation and code, the event loop, memory and the pool', async () => {
  const url = await startReady();
  const token = await issuer.issue({ role: 'editor' });
  await askRest(url, token, 'POST', '/v1/campaigns', campaign);
  await askGraphql(url, token, 'query Mine { campaigns { id } }');
  await askGraphql(url, token, 'query Bad { campaigns(limit: -1) { id } }');
  await askRest(url, undefined, 'GET', '/v1/campaigns');
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const seriesOf = (name: string, labels: Record<string, string>): string | undefined =>
    metrics
      .split('\n')
      .find(
        (line) =>
          line.startsWith(name) &&
          Object.entries({ ...labels, service: 'campaigns' }).every(([label, value]) => line.includes(`${label}="${value}"`)),
      );
  const valueOf = (name: string, labels: Record<string, string>): number => Number(seriesOf(name, labels)?.split(' ').at(-1));
  expect(valueOf('pca_http_request_seconds_count', { method: 'POST', route: '/v1/campaigns', status: '201' })).toBe(1);
  expect(valueOf('pca_graphql_operation_seconds_count', { operation: 'Mine', type: 'query' })).toBe(1);
  expect(valueOf('pca_graphql_errors_total', { operation: 'Bad', code: 'BAD_USER_INPUT' })).toBe(1);
  expect(valueOf('pca_errors_total', { route: '/v1/campaigns', code: 'UNAUTHENTICATED' })).toBe(1);
  expect(valueOf('nodejs_eventloop_lag_seconds', {})).toBeGreaterThanOrEqual(0);
  expect(valueOf('process_resident_memory_bytes', {})).toBeGreaterThan(1e7);
  expect(valueOf('pca_db_pool_connections', { state: 'total' })).toBeGreaterThan(0);
  expect(valueOf('pca_db_query_seconds_count', { outcome: 'ok' })).toBeGreaterThan(5);
  expect(valueOf('pca_outbox_depth', {})).toBeGreaterThanOrEqual(0);
});

it('publishes each change to the bus with the id of the request', async () => {
  const url = await startReady();
  const token = await issuer.issue({ role: 'editor', workspace: 'published' });
  await askRest(url, token, 'POST', '/v1/campaigns', campaign, { 'x-request-id': 'request-77' });
  const bus = await PostgresEventBus.connect({ url: busUrl });
  await expect
    .poll(async () => {
      const published: EventEnvelope[] = [];
      await readTopic(bus, 'campaigns.events.v1', (messages) => published.push(...messages.map(({ envelope }) => envelope)));
      return published
        .filter(({ correlationId }) => correlationId === 'request-77')
        .map(({ type }) => type)
        .toSorted();
    })
    .toEqual(['campaign.created.v1', 'workspace.updated.v1']);
  await bus.close();
});

it('answers what is running when it is told to end, then exits 0; when its supervisor is gone too', async () => {
  const endTwice = (): void => {
    child?.kill('SIGTERM');
    setTimeout(() => child?.kill('SIGTERM'), 50);
  };
  for (const end of [endTwice, () => child?.disconnect()]) {
    const url = await startReady();
    const token = await issuer.issue({ role: 'editor', workspace: 'drain' });
    const exit = exitOf(child as ChildProcess);
    const ending = Promise.withResolvers<void>();
    const file = new ReadableStream({
      start: async (controller) => {
        const line = (n: number) => new TextEncoder().encode(n === 0 ? 'date,campaign,clicks\n' : `2026-02-0${n},A,1\n`);
        for (let n = 0; n < 5; n++) {
          controller.enqueue(line(n));
          // The rest comes when the service has been told to end, and some time after that.
          if (n === 2) await ending.promise;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        controller.close();
      },
    });
    const running = askRest(url, token, 'POST', '/v1/imports?platform=Google&currency=USD', file, { 'content-type': 'text/csv' });
    await expect.poll(() => reading('drain')).toBe(1);
    end();
    ending.resolve();
    const response = await running;
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ report: { rows: 4 } });
    expect(await exit, output).toBe(0);
  }
});

it('traces a request through to its queries and the bus, when there is somewhere to send it', async () => {
  const spans: { name: string; traceId: string; service: string }[] = [];
  const collector: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      const body = JSON.parse((request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString()) as Otlp;
      for (const { resource, scopeSpans } of body.resourceSpans) {
        const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push({ name: span.name, traceId: span.traceId, service });
      }
      response.end('{}');
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => collector.once('listening', resolve));
  const { port } = collector.address() as { port: number };
  const url = await startReady({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
  const token = await issuer.issue({ role: 'editor', workspace: 'traced' });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  await askRest(url, token, 'POST', '/v1/campaigns', campaign, { traceparent: `00-${traceId}-b7ad6b7169203331-01` });
  await expect
    .poll(() => spans.filter((span) => span.traceId === traceId).map((span) => span.name))
    .toEqual(expect.arrayContaining(['POST /v1/campaigns', 'pg insert', 'pg commit']));
  await expect.poll(() => spans.map((span) => span.name)).toContain('bus publish');
  expect(new Set(spans.map((span) => span.service))).toEqual(new Set(['campaigns']));
  const bus = await PostgresEventBus.connect({ url: busUrl });
  // The publish that was seen may have been that of an earlier test.
  const traces = async (): Promise<(string | undefined)[]> => {
    const events: EventEnvelope[] = [];
    await readTopic(bus, 'campaigns.events.v1', (messages) => events.push(...messages.map(({ envelope }) => envelope)));
    return events.filter(({ workspaceId }) => workspaceId === 'traced').map(({ traceparent }) => traceparent?.split('-')[1]);
  };
  await expect.poll(traces).toEqual([traceId, traceId]);
  await bus.close();
  collector.close();
});

interface Otlp {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: { name: string; traceId: string }[] }[];
  }[];
}
