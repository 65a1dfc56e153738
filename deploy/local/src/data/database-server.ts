import {
  createDatabaseIfMissing,
  databaseUrl,
  type EmbeddedPostgres,
  EmbeddedPostgresError,
  type ProcessIdentity,
  startEmbeddedPostgres,
} from '@pca/embedded-postgres';
import { folderError, OperatorError } from '../operator-error.js';
import { OwnServer } from './own-server.js';

/** Where the databases are: a server of our own or one that the user names. */
export interface DatabaseServer {
  readonly embedded: boolean;
  readonly port?: number;
  readonly state: string;
  url(database: string): string;
  setCompanions(companions: readonly ProcessIdentity[]): void;
  stop(): Promise<void>;
}

interface DatabaseServerOptions {
  readonly databases: readonly string[];
  readonly onLine: (line: string) => void;
  readonly onNews: (message: string, level: 'info' | 'warn') => void;
  readonly onChange: () => void;
}

/** A server that the user names: databases are made when missing, everything else about it is the user's. Throws OperatorError. */
export const useDatabaseServer = async (serverUrl: string, { databases }: DatabaseServerOptions): Promise<DatabaseServer> => {
  const { hostname, port } = new URL(serverUrl);
  try {
    for (const name of databases) await createDatabaseIfMissing(serverUrl, name);
  } catch (error) {
    const reason =
      error instanceof AggregateError ? (error.errors[0] as Error).message : error instanceof Error ? error.message : String(error);
    throw new OperatorError(`The Postgres server of DATABASE_URL (${hostname}:${port || 5432}) cannot be used: ${reason}`, {
      cause: error,
    });
  }
  return {
    embedded: false,
    state: 'given',
    url: (database) => databaseUrl(serverUrl, database),
    setCompanions: () => undefined,
    stop: () => Promise.resolve(),
  };
};

/** Starts the embedded server with its databases; it is started again when it dies. Throws OperatorError or EmbeddedPostgresError. */
export const startOwnDatabaseServer = async (dataDir: string, options: DatabaseServerOptions): Promise<DatabaseServer> => {
  const launch = (port?: number): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ dataDir, onLog: options.onLine, ...(port === undefined ? {} : { port }) });
  const first = await launch().catch((error: unknown) => {
    throw error instanceof EmbeddedPostgresError ? error : folderError(dataDir, error);
  });
  const own = new OwnServer(first, { name: 'postgres', launch, onNews: options.onNews, onChange: options.onChange });
  try {
    for (const name of options.databases) await own.current.createDatabase(name);
  } catch (error) {
    await own.stop();
    throw error;
  }
  return {
    embedded: true,
    port: first.port,
    get state() {
      return own.state;
    },
    url: (database) => own.current.url(database),
    setCompanions: (companions) => own.setCompanions(companions),
    stop: () => own.stop(),
  };
};
