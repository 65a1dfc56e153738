import {
  createDatabaseIfMissing,
  databaseUrl,
  type EmbeddedPostgres,
  EmbeddedPostgresError,
  type ProcessIdentity,
  startEmbeddedPostgres,
} from '@pca/embedded-postgres';
import { folderError, OperatorError } from '../operator-error.js';
import { backoffMs } from '../services/backoff.js';

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

/** A server of our own, which is started again when it dies. */
class EmbeddedServer implements DatabaseServer {
  readonly embedded = true;
  state = 'ready';
  private companions: readonly ProcessIdentity[] = [];
  private stopping = false;
  private wake: (() => void) | undefined;
  private readonly watching: Promise<void>;

  constructor(
    private server: EmbeddedPostgres,
    private readonly launch: (port: number) => Promise<EmbeddedPostgres>,
    private readonly options: DatabaseServerOptions,
  ) {
    this.watching = this.watch();
  }

  get port(): number {
    return this.server.port;
  }

  url(database: string): string {
    return this.server.url(database);
  }

  setCompanions(companions: readonly ProcessIdentity[]): void {
    this.companions = companions;
    this.server.setCompanions(companions);
  }

  async createDatabases(): Promise<void> {
    for (const name of this.options.databases) await this.server.createDatabase(name);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake?.();
    await this.server.stop();
    await this.watching;
    // A restart that was under way has brought a new one.
    await this.server.stop();
  }

  private async watch(): Promise<void> {
    while (!this.stopping) {
      const { code, signal, wanted } = await this.server.exited;
      if (!wanted && !this.stopping) await this.restart(signal === null ? `exit code ${code}` : `killed by ${signal}`);
    }
  }

  /** On its old port, which the services know. */
  private async restart(reason: string): Promise<void> {
    const { onNews } = this.options;
    this.setState('restarting');
    for (let attempt = 1; ; attempt += 1) {
      const delayMs = backoffMs(attempt);
      onNews(`postgres ended (${reason}); starting it again in ${(delayMs / 1000).toFixed(1)} s (attempt ${attempt})`, 'warn');
      await this.sleep(delayMs);
      if (this.stopping) return;
      try {
        this.server = await this.launch(this.server.port);
        this.server.setCompanions(this.companions);
        this.setState('ready');
        return onNews('postgres is ready again', 'info');
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, ms);
    });
  }

  private setState(state: string): void {
    this.state = state;
    this.options.onChange();
  }
}

/** Starts the embedded server with its databases. Throws OperatorError or EmbeddedPostgresError. */
export const startOwnServer = async (dataDir: string, options: DatabaseServerOptions): Promise<DatabaseServer> => {
  const launch = (port?: number): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ dataDir, onLog: options.onLine, ...(port === undefined ? {} : { port }) });
  const first = await launch().catch((error: unknown) => {
    throw error instanceof EmbeddedPostgresError ? error : folderError(dataDir, error);
  });
  const server = new EmbeddedServer(first, launch, options);
  try {
    await server.createDatabases();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
};
