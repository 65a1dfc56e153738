import { startPrivatePostgres, testPostgres } from '@pca/testing';
import pg from 'pg';
import { PostgresEventBus } from '../../src/index.js';
import { startTcpProxy } from '../tcp-proxy.js';
import type { Bus, BusAdapter, BusHarness, ConnectOptions, PlainConfig } from './bus-harness.js';

// A member that says nothing is given up soon, so that tests need not wait.
const limits = { silentMsMax: 3_000 };

const harnessOn = (urlOf: (options: ConnectOptions) => string, stop: () => Promise<void>): BusHarness => {
  const url = urlOf({});
  const config: PlainConfig = { bus: 'postgres', url, limits };
  const opened: Bus[] = [];
  const query = async (text: string, values: unknown[] = []): Promise<void> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(text, values);
    } finally {
      await client.end();
    }
  };
  return {
    config,
    connect: async (options = {}) => {
      const { topics, observer, queryMsMax } = options;
      const bus = await PostgresEventBus.connect({
        url: urlOf(options),
        limits: { ...limits, ...(queryMsMax !== undefined && { queryMsMax }) },
        ...(topics && { topics }),
        ...(observer && { observer }),
      });
      opened.push(bus);
      return bus;
    },
    bytesOf: ({ topic: _topic, ...stored }) => Buffer.from(JSON.stringify(stored)),
    appendRaw: (topic, bytes) =>
      query('select bus.append(array[id], array[0], array[1], array[octet_length($2::bytea)], $2) from bus.topic where name = $1', [
        topic,
        bytes,
      ]),
    // What one append has put in becomes visible after the wait, as it does behind a slow disk.
    delayCommits: (msMax) =>
      query(`create or replace function bus.wait_before_commit() returns trigger language plpgsql as $$
          begin perform pg_sleep(random() * ${msMax / 1000}); return null; end $$;
        drop trigger if exists wait_before_commit on bus.log;
        create constraint trigger wait_before_commit after insert on bus.log deferrable initially deferred
          for each row execute function bus.wait_before_commit()`),
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
    return harnessOn(
      () => url,
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
    const harness = harnessOn(({ overLink }) => (overLink ? link.url : url), stop);
    return { ...harness, link, kill: () => server.kill(), start: () => server.start() };
  },
};
