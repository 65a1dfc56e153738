import { freePort, startPrivateKafka, startPrivatePostgres } from '@pca/testing';
import pg from 'pg';
import type { EventBusConfig } from '../../src/index.js';
import { startTcpProxy } from '../tcp-proxy.js';

/** The server of a bus, of the caller's own, and how a process of a test reaches it. */
export interface BusServer {
  /** As JSON carries it; members that are silent are given up within two seconds. */
  readonly config: EventBusConfig;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on the same data. */
  start(): Promise<void>;
  /** Breaks every connection to it. */
  cut(): Promise<void>;
  stop(): Promise<void>;
}

/** Ends all sessions of a database but its own. */
export const cutConnections = async (url: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  await client.end();
};

const partitions = 4;

const startPostgresBus = async (topic: string): Promise<BusServer> => {
  const server = await startPrivatePostgres();
  const { url } = await server.createDatabase();
  return {
    config: { bus: 'postgres', url, topics: { [topic]: { partitions } }, limits: { queryMsMax: 3_000, silentMsMax: 2_000 } },
    kill: () => server.kill(),
    start: () => server.start(),
    cut: () => cutConnections(url),
    stop: () => server.stop(),
  };
};

/** Behind a link that can be cut, because a broker cuts none. */
const startKafkaBus = async (topic: string): Promise<BusServer> => {
  const port = await freePort();
  const link = await startTcpProxy(`tcp://127.0.0.1:${port}`);
  const { host, port: advertisedPort } = new URL(link.url);
  const server = await startPrivateKafka({
    listeners: [{ name: 'LINK', port, advertisedPort: Number(advertisedPort), protocol: 'PLAINTEXT' }],
    settings: { 'group.min.session.timeout.ms': '500' },
  });
  return {
    config: {
      bus: 'kafka',
      brokers: host,
      topics: { [topic]: { partitions } },
      limits: { queryMsMax: 3_000, sessionMsMax: 2_000, rebalanceMsMax: 10_000 },
    },
    kill: () => server.kill(),
    start: () => server.start(),
    cut: () => {
      link.mode('refuse');
      link.mode('pass');
      return Promise.resolve();
    },
    stop: async () => {
      await server.stop();
      await link.close();
    },
  };
};

export const busServers = { Postgres: startPostgresBus, Kafka: startKafkaBus } as const;
