import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import pg from 'pg';
import { nodeFlagsOfAll } from '../../deploy/local/dist/services/service-process.js';
import { cpuSeconds, residentMb } from '../bus/processes.mjs';
import { startMeasured } from '../gateway/measured-process.mjs';

const root = resolve(import.meta.dirname, '../..');
const analyticsMain = resolve(root, 'services/analytics/dist/main.js');
const workspace = 'bench';

/** What one key may send is no limit of what is measured; everything else is on as it comes. */
const limits = { INGEST_EVENTS_PER_SECOND_MAX: '1000000' };

/** The flags that the supervisor starts a service with. */
const flagsOf = (service) => {
  const { metadata } = JSON.parse(readFileSync(resolve(root, 'services', service, 'project.json'), 'utf8'));
  return [...nodeFlagsOfAll, ...metadata.pca.nodeFlags];
};

const untilReady = async (url) => {
  for (;;) {
    const response = await fetch(`${url}/health/ready`);
    await response.body?.cancel();
    if (response.ok) return;
    await new Promise((done) => setTimeout(done, 50));
  }
};

/** The workspace's key, by the program's own command. */
const keyOf = async (env) => {
  const command = promisify(execFile)(process.execPath, [analyticsMain, 'ingest-key', '--workspace', workspace], { env });
  return (await command).stdout.trim();
};

/**
 * Gateway and analytics as processes from dist, on databases of their own that `names` keeps from one start to the next, with the bus on
 * Postgres or on the broker. `cpu` is what each stage has used so far, in seconds.
 */
export const startSystem = async ({ server, kafka, load, name, jwksFile }) => {
  const [database, busDatabase] = [await server.makeDatabase(`analytics_${name}`), await server.makeDatabase(`bus_${name}`)];
  const bus = kafka ? { BUS: 'kafka', KAFKA_BROKERS: kafka.brokers } : { BUS: 'postgres', BUS_URL: busDatabase };
  const env = { NODE_ENV: 'development', AUTH_JWKS_FILE: jwksFile, ...limits };
  const analyticsEnv = { ...env, ...bus, DATABASE_URL: database };
  const analytics = await startMeasured(analyticsMain, analyticsEnv, flagsOf('analytics'));
  // Campaigns is in the supergraph and has no part in this.
  const subgraphs = { SUBGRAPH_ANALYTICS_URL: analytics.url, SUBGRAPH_CAMPAIGNS_URL: 'http://127.0.0.1:9' };
  const gateway = await startMeasured(resolve(root, 'services/gateway/dist/main.js'), { ...env, ...subgraphs }, flagsOf('gateway'));
  await untilReady(analytics.url);
  await untilReady(gateway.url);
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  const key = await keyOf({ ...process.env, ...analyticsEnv, PORT: '1' });
  return {
    client,
    target: { url: gateway.url, key },
    cpu: () => ({
      load: cpuSeconds(load.pid),
      gateway: cpuSeconds(gateway.pid),
      analytics: cpuSeconds(analytics.pid),
      postgres: server.cpuSeconds(),
      ...(kafka && { broker: kafka.cpuSeconds() }),
    }),
    /** How many events analytics says that it has stored since it began; it counts them as their transaction is about to end. */
    stored: async () => {
      const response = await fetch(`${analytics.url}/metrics`);
      return Number(/^pca_timeline_events_total\{[^}]*result="stored"[^}]*\} (\d+)$/m.exec(await response.text())?.[1] ?? 0);
    },
    residentMb: () => ({ gateway: residentMb(gateway.pid), analytics: residentMb(analytics.pid) }),
    stop: async () => {
      await client.end();
      await gateway.stop();
      await analytics.stop();
    },
  };
};
