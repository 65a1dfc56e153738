import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { databaseUrl, type EmbeddedPostgres, startEmbeddedPostgres } from '@pca/embedded-postgres';
import pg from 'pg';
import { inject } from 'vitest';
import { askRunServer } from './run-server.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Address at which the global set-up answers with the server's URL. */
    pcaPostgres: string;
  }
}

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
}

export interface TestPostgres {
  url(database: string): string;
  /** A new, empty database of the caller's own. */
  createDatabase(): Promise<TestDatabase>;
  /** Drops what createDatabase made; the server itself ends with the test run. */
  stop(): Promise<void>;
}

export interface PrivatePostgres {
  /** Where the server's files are, until stop(). */
  readonly dataDir: string;
  /** The running server; a new object after start(). */
  readonly server: EmbeddedPostgres;
  /** Stays the same over kill() and start(). */
  url(database?: string): string;
  createDatabase(): Promise<TestDatabase>;
  /** Ends the server as kill -9 of its main process does: nothing is written, every session breaks. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same data and port. */
  start(): Promise<void>;
  /** Shuts it down and removes its data. */
  stop(): Promise<void>;
}

// Tests lose nothing that matters when the machine itself fails; a killed server is as safe without fsync as with it.
const testSettings = { fsync: 'off', full_page_writes: 'off' };

/** SQL behind `from`: what sessions of this database lock or wait for. `pg_locks` alone shows those of other specs on the server too. */
export const locksOfThisDatabase = 'pg_locks join pg_stat_activity using (pid) where datname = current_database()';

const folder = (): string => join(tmpdir(), `pca-test-postgres-${randomBytes(6).toString('hex')}`);

/** The one server of a test run; the global set-up starts it when the first spec asks. */
export const startSharedPostgres = (): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ dataDir: folder(), temporary: true, settings: { ...testSettings, max_connections: '300' } });

const query = async (url: string, sql: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
};

const newDatabase = async (serverUrl: string): Promise<TestDatabase> => {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await query(serverUrl, `create database ${name} strategy file_copy`);
  return { name, url: databaseUrl(serverUrl, name) };
};

/** The shared server of this test run, with databases of the caller's own on it. */
export const testPostgres = async (): Promise<TestPostgres> => {
  const serverUrl = await askRunServer(inject('pcaPostgres'), 'Postgres');
  const created: string[] = [];
  return {
    url: (database) => databaseUrl(serverUrl, database),
    createDatabase: async () => {
      const database = await newDatabase(serverUrl);
      created.push(database.name);
      return database;
    },
    stop: async () => {
      for (const name of created.splice(0)) await query(serverUrl, `drop database if exists ${name} with (force)`);
    },
  };
};

/** A server of the caller's own, to be killed and started again at will. */
export const startPrivatePostgres = async (settings: Readonly<Record<string, string>> = {}): Promise<PrivatePostgres> => {
  const dataDir = folder();
  const launch = (port?: number): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ dataDir, settings: { ...testSettings, ...settings }, ...(port === undefined ? {} : { port }) });
  let server = await launch();
  const { port } = server;
  return {
    dataDir,
    get server() {
      return server;
    },
    url: (database) => server.url(database),
    createDatabase: () => newDatabase(server.url()),
    kill: async () => {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    start: async () => {
      server = await launch(port);
    },
    stop: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};
