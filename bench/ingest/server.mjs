import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedKafka } from '@pca/embedded-kafka';
import { startEmbeddedPostgres } from '@pca/embedded-postgres';
import pg from 'pg';
import { cpuSeconds, familyCpuSeconds } from '../bus/processes.mjs';

const folder = () => mkdtemp(join(tmpdir(), 'pca-bench-ingest-'));

/** One private server for everything of a run, as durable as it comes. */
export const startPostgres = async () => {
  const postgres = await startEmbeddedPostgres({ dataDir: await folder(), temporary: true });
  const admin = new pg.Client({ connectionString: postgres.url() });
  await admin.connect();
  return {
    makeDatabase: async (name) => {
      await postgres.createDatabase(name);
      return postgres.url(name);
    },
    dropDatabase: (name) => admin.query(`drop database ${name} with (force)`),
    // So that no leg pays for the one before it.
    settle: () => admin.query('checkpoint'),
    cpuSeconds: () => familyCpuSeconds(postgres.pid),
    stop: async () => {
      await admin.end();
      await postgres.stop();
    },
  };
};

export const startKafka = async () => {
  const kafka = await startEmbeddedKafka({ dataDir: await folder(), temporary: true });
  return { brokers: kafka.brokers, cpuSeconds: () => cpuSeconds(kafka.pid), stop: () => kafka.stop() };
};
