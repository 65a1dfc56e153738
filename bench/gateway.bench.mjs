// CPU per federated request of the product gateway, as a ratio to the stock set-up measured in the same run, in alternating rounds.
// Floor: the ratio is at most 0.55. Beside it: the same queries, without the other subgraph's fields, straight at the subgraph.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureLocalIssuer } from '@pca/service-kit';
import { composeSupergraph, startFixtureSubgraph } from '@pca/testing';
import { Pool } from 'undici';
import { bodyOf, makeDocuments } from './gateway/queries.mjs';

const ratioMax = 0.55;
const clients = 16;
const rounds = Number(process.env.BENCH_ROUNDS ?? 6);
const requestsPerRound = Number(process.env.BENCH_REQUESTS ?? 2_000);
const documents = makeDocuments(128);
const root = resolve(import.meta.dirname, '..');

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
};

const startMeasured = async (script, env) => {
  const port = await freePort();
  const child = fork(script, [], {
    execArgv: [
      '--import',
      resolve(import.meta.dirname, 'gateway/cpu-probe.mjs'),
      ...(process.env.BENCH_NODE_ARGS ?? '').split(' ').filter(Boolean),
    ],
    env: { ...process.env, NODE_ENV: 'production', APOLLO_TELEMETRY_DISABLED: 'true', PORT: String(port), ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const cpuMicros = async () => {
    child.send('cpu');
    const [used] = await once(child, 'message');
    if (process.env.BENCH_DEBUG) console.log(script.slice(-20), used);
    return used.cpuMicros;
  };
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 200; attempt++) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      break;
    if (child.exitCode !== null) throw new Error(`${script} ended with ${child.exitCode}`);
    await sleep(50);
  }
  return {
    url,
    cpuMicros,
    stop: async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
};

const makeLoad = (url, token, kind) => {
  const pool = new Pool(url, { connections: clients });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  let sent = 0;
  const one = async () => {
    const n = sent++;
    const { statusCode, body } = await pool.request({ path: '/graphql', method: 'POST', headers, body: bodyOf(documents, kind, n) });
    const text = await body.text();
    if (statusCode !== 200 || text.includes('"errors"')) throw new Error(`request ${n} to ${url}: ${statusCode} ${text.slice(0, 300)}`);
    return text.length;
  };
  return {
    run: async (requests) => {
      let left = requests;
      const ms = [];
      await Promise.all(
        Array.from({ length: clients }, async () => {
          while (left-- > 0) {
            const start = performance.now();
            await one();
            ms.push(performance.now() - start);
          }
        }),
      );
      return { p50Ms: median(ms), p99Ms: ms.toSorted((a, b) => a - b)[Math.floor(ms.length * 0.99)] };
    },
    close: () => pool.close(),
  };
};

const round = async ({ load, cpuMicros }, requests) => {
  const before = await cpuMicros();
  const latency = await load.run(requests);
  return { cpuMs: ((await cpuMicros()) - before) / 1000 / requests, ...latency };
};

const sameAnswers = async (a, b, token) => {
  for (let n = 0; n < documents.length; n++) {
    const ask = async (url) =>
      (
        await fetch(`${url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body: bodyOf(documents, 'federated', n),
        })
      ).json();
    const [one, other] = await Promise.all([ask(a), ask(b)]);
    if (JSON.stringify(one) !== JSON.stringify(other))
      throw new Error(
        `the answers to document ${n} differ: ${JSON.stringify(one).slice(0, 200)} and ${JSON.stringify(other).slice(0, 200)}`,
      );
  }
};

const folder = await mkdtemp(join(tmpdir(), 'pca-bench-gateway-'));
const stops = [() => rm(folder, { recursive: true, force: true })];
try {
  const issuer = await ensureLocalIssuer(join(folder, 'issuer'));
  const token = await issuer.issue({ role: 'admin' });
  const jwks = await readFile(issuer.jwksFile, 'utf8');
  const keys = createServer((_request, response) => response.setHeader('content-type', 'application/json').end(jwks)).listen(
    0,
    '127.0.0.1',
  );
  await once(keys, 'listening');
  stops.push(() => keys.close());
  const subgraphs = [];
  for (const name of ['campaigns', 'notes']) {
    const subgraph = await startFixtureSubgraph(name, { jwksFile: issuer.jwksFile, env: { NODE_ENV: 'production' } });
    subgraphs.push({ name, sdl: subgraph.sdl, url: `${subgraph.url}/graphql`, origin: subgraph.url });
    stops.push(() => subgraph.kill());
  }
  const supergraphFile = join(folder, 'supergraph.graphql');
  await writeFile(supergraphFile, composeSupergraph(subgraphs));
  const product = await startMeasured(resolve(root, 'services/gateway/dist/main.js'), {
    SUPERGRAPH_FILE: supergraphFile,
    AUTH_JWKS_URL: `http://127.0.0.1:${keys.address().port}/jwks.json`,
    SUBGRAPH_CAMPAIGNS_URL: subgraphs[0].origin,
    SUBGRAPH_NOTES_URL: subgraphs[1].origin,
    RATE_REQUESTS_MAX: '100000000',
  });
  stops.push(product.stop);
  const stock = await startMeasured(resolve(import.meta.dirname, 'gateway/stock-gateway.mjs'), { SUPERGRAPH_FILE: supergraphFile });
  stops.push(stock.stop);

  await sameAnswers(product.url, stock.url, token);
  const sides = { product, stock };
  for (const side of Object.values(sides)) {
    side.load = makeLoad(side.url, token, 'federated');
    stops.push(side.load.close);
    await side.load.run(requestsPerRound);
  }
  const results = { product: [], stock: [] };
  for (let n = 0; n < rounds; n++) {
    for (const name of n % 2 === 0 ? ['product', 'stock'] : ['stock', 'product'])
      results[name].push(await round(sides[name], requestsPerRound));
  }
  const direct = makeLoad(subgraphs[0].origin, token, 'direct');
  stops.push(direct.close);
  await direct.run(requestsPerRound);
  const directLatency = await direct.run(requestsPerRound);

  const ratios = results.product.map(({ cpuMs }, n) => cpuMs / results.stock[n].cpuMs);
  const row = (name, all) => ({
    'CPU ms a request': median(all.map(({ cpuMs }) => cpuMs)).toFixed(3),
    'p50 ms': median(all.map(({ p50Ms }) => p50Ms)).toFixed(1),
    'p99 ms': median(all.map(({ p99Ms }) => p99Ms)).toFixed(1),
  });
  console.log(`\n${documents.length} documents, ${clients} clients, ${rounds} alternating rounds of ${requestsPerRound} requests; medians`);
  console.table({
    'stock gateway': row('stock', results.stock),
    'product gateway': row('product', results.product),
    'straight at the subgraph': {
      'CPU ms a request': '-',
      'p50 ms': directLatency.p50Ms.toFixed(1),
      'p99 ms': directLatency.p99Ms.toFixed(1),
    },
  });
  const ratio = median(ratios);
  console.log(
    `ratio of CPU: ${ratio.toFixed(3)} (rounds: ${ratios.map((value) => value.toFixed(3)).join(' ')}), at most ${ratioMax}: ${ratio <= ratioMax ? 'held' : 'MISSED'}`,
  );
  if (ratio > ratioMax) process.exitCode = 1;
} finally {
  for (const stop of stops.reverse()) await stop();
}
