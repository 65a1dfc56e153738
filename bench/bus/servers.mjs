import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedKafka } from '@pca/embedded-kafka';
import { startEmbeddedPostgres } from '@pca/embedded-postgres';
import pg from 'pg';
import { cpuSeconds, familyCpuSeconds, residentMb } from './processes.mjs';

/** One server for all systems that live in Postgres, as durable as in production; each session has a database of its own. */
export const startPostgres = async () => {
  const postgres = await startEmbeddedPostgres({ dataDir: await mkdtemp(join(tmpdir(), 'pca-bench-bus-')), temporary: true });
  const admin = new pg.Client({ connectionString: postgres.url() });
  await admin.connect();
  let places = 0;
  return {
    makePlace: async () => {
      const database = `bench_${(places += 1)}`;
      await postgres.createDatabase(database);
      return { database, url: postgres.url(database), topic: 'bench.events.v1', group: 'bench' };
    },
    dropPlace: ({ database }) => admin.query(`drop database ${database} with (force)`),
    // So that no leg pays for the one before it.
    settle: () => admin.query('checkpoint'),
    cpuSeconds: () => familyCpuSeconds(postgres.pid),
    residentMb: () => ({}),
    stop: async () => {
      await admin.end();
      await postgres.stop();
    },
  };
};

/** One broker for all systems on Kafka; each session has a topic and a group of its own. It acknowledges before the disk has anything. */
export const startKafka = async () => {
  const kafka = await startEmbeddedKafka({ dataDir: await mkdtemp(join(tmpdir(), 'pca-bench-bus-')), temporary: true });
  let places = 0;
  return {
    makePlace: () => {
      places += 1;
      return { brokers: kafka.brokers, topic: `bench.events-${places}.v1`, group: `bench-${places}`, partitions: 8 };
    },
    dropPlace: () => undefined,
    settle: () => undefined,
    cpuSeconds: () => cpuSeconds(kafka.pid),
    residentMb: () => ({ broker: residentMb(kafka.pid) }),
    stop: () => kafka.stop(),
  };
};
