import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import pg from 'pg';
import { cpuSeconds, residentMb } from '../bus/processes.mjs';
import { startMeasured } from '../gateway/measured-process.mjs';

const root = resolve(import.meta.dirname, '../..');
const workspace = 'bench';

/** What one key may send is no limit of what is measured; everything else is on as it comes. */
const limits = { INGEST_EVENTS_PER_SECOND_MAX: '1000000' };

/** The limits of memory that services run with. */
const nodeFlags = ['--max-semi-space-size=16', '--max-old-space-size=384'];

const untilReady = async (url) => {
  for (;;) {
    const response = await fetch(`${url}/health/ready`);
    await response.body?.cancel();
    if (response.ok) return;
    await new Promise((done) => setTimeout(done, 50));
  }
};

const addKey = async (client) => {
  const key = randomBytes(24).toString('base64url');
  await client.query(
    `insert into ingest_key (id, workspace_id, name, digest, prefix, created_by) values ($1, $2, 'bench', $3, $4, 'bench')`,
    [randomUUID(), workspace, createHash('sha256').update(key).digest(), key.slice(0, 8)],
  );
  return key;
};

/**
 * Gateway and analytics as processes from dist, on databases of their own that `names` keeps from one start to the next, with the bus on
 * Postgres or on the broker. `cpu` is what each stage has used so far, in seconds.
 */
export const startSystem = async ({ server, kafka, load, name, jwksFile }) => {
  const [database, busDatabase] = [await server.makeDatabase(`analytics_${name}`), await server.makeDatabase(`bus_${name}`)];
  const bus = kafka ? { BUS: 'kafka', KAFKA_BROKERS: kafka.brokers } : { BUS: 'postgres', BUS_URL: busDatabase };
  const env = { NODE_ENV: 'development', AUTH_JWKS_FILE: jwksFile, ...limits };
  const analytics = await startMeasured(
    resolve(root, 'services/analytics/dist/main.js'),
    { ...env, ...bus, DATABASE_URL: database },
    nodeFlags,
  );
  const gateway = await startMeasured(
    resolve(root, 'services/gateway/dist/main.js'),
    { ...env, SUBGRAPH_ANALYTICS_URL: analytics.url, SUBGRAPH_CAMPAIGNS_URL: analytics.url },
    nodeFlags,
  );
  await untilReady(analytics.url);
  await untilReady(gateway.url);
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  const key = await addKey(client);
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
    residentMb: () => ({ gateway: residentMb(gateway.pid), analytics: residentMb(analytics.pid) }),
    stop: async () => {
      await client.end();
      await gateway.stop();
      await analytics.stop();
    },
  };
};
