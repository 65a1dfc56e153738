import { startPrivatePostgres, testPostgres } from '@pca/testing';
import pg from 'pg';
import { PostgresEventBus } from '../../src/index.js';
import { plainStage, withOptions } from '../scenarios/plain-stage.js';
import { startTcpProxy } from '../tcp-proxy.js';
import type { Bus, BusAdapter, BusHarness, ConnectOptions } from './bus-harness.js';

const append = `select bus.append(array[id], array[0], array[1], array[octet_length($2::bytea)], $2) from bus.topic where name = $1`;

const harnessOn = (urlOf: (options: ConnectOptions) => string, silentMsMax: number, stop: () => Promise<void>): BusHarness => {
  const config = { bus: 'postgres', url: urlOf({}), limits: { silentMsMax } } as const;
  const opened: Bus[] = [];
  return {
    ...plainStage(config),
    connect: async (options = {}) => {
      const bus = await PostgresEventBus.connect({ ...withOptions(config, options), url: urlOf(options) });
      opened.push(bus);
      return bus;
    },
    bytesOf: ({ topic: _topic, ...stored }) => Buffer.from(JSON.stringify(stored)),
    appendRaw: async (topic, bytes) => {
      const client = new pg.Client({ connectionString: config.url });
      await client.connect();
      await client.query(append, [topic, bytes]);
      await client.end();
    },
    close: async () => {
      await Promise.all(opened.splice(0).map((bus) => bus.close()));
      await stop();
    },
  };
};

export const postgresAdapter: BusAdapter = {
  name: 'Postgres',
  shared: async () => {
    const postgres = await testPostgres();
    const { url } = await postgres.createDatabase();
    // Nobody falls silent here but by the slowness of the machine, for which nobody may be given up: what was handled would come again.
    return harnessOn(
      () => url,
      15_000,
      () => postgres.stop(),
    );
  },
  private: async () => {
    const server = await startPrivatePostgres();
    const { url } = await server.createDatabase();
    const link = await startTcpProxy(url);
    const stop = async () => {
      await link.close();
      await server.stop();
    };
    // A member that says nothing is given up soon, so that tests need not wait.
    const harness = harnessOn(({ overLink }) => (overLink ? link.url : url), 3_000, stop);
    return { ...harness, link, kill: () => server.kill(), start: () => server.start() };
  },
};
