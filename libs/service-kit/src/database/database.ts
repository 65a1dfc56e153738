import pg from 'pg';
import { DataSource, type EntityManager, type EntitySchema, type MigrationInterface } from 'typeorm';
import { askedGauge } from '../observability/metrics.js';
import { InstrumentedClient } from './instrumented-client.js';

const besideMax = 3;

const poolConnections = askedGauge('pca_db_pool_connections', 'Connections of the pool by state', ['state']);

/** What stores take to work inside a transaction. */
export type Transaction = EntityManager;

type Constructor<T = object> = new (...args: never[]) => T;

export interface DatabaseOptions {
  /** Shown in pg_stat_activity. */
  name: string;
  url: string;
  entities: (Constructor | EntitySchema)[];
  migrations: Constructor<MigrationInterface>[];
  poolMax: number;
  statementMsMax: number;
}

/** A data source that connects only when told to, so that a schema can be printed and a module tested without a server. */
export const createDataSource = (options: DatabaseOptions): DataSource =>
  new DataSource({
    type: 'postgres',
    url: options.url,
    entities: options.entities,
    migrations: options.migrations,
    migrationsTransactionMode: 'each',
    synchronize: false,
    logging: false,
    applicationName: options.name,
    poolErrorHandler: () => undefined,
    extra: {
      Client: InstrumentedClient,
      max: options.poolMax,
      connectionTimeoutMillis: 5_000,
      statement_timeout: options.statementMsMax,
      // A transaction that a stuck caller leaves open would hold its row locks for ever.
      idle_in_transaction_session_timeout: 60_000,
    },
  });

/** The pool that TypeORM and plain queries share: one budget of connections for each service. */
export const poolOf = (dataSource: DataSource): pg.Pool => (dataSource.driver as unknown as { master: pg.Pool }).master;

/** One service's database: entities through `manager`, hot paths through `pool`, both in one transaction when it must be. */
export class Database {
  private readonly commitListeners = new Set<() => void>();
  private forgetPool: () => void = () => undefined;
  private besidePool: pg.Pool | undefined;

  constructor(readonly dataSource: DataSource) {}

  get pool(): pg.Pool {
    return poolOf(this.dataSource);
  }

  /**
   * Three connections beside the pool, for short statements that somebody who holds a connection of the pool needs at once and in a
   * transaction of their own: who waits for the pool while holding a part of it may wait for himself.
   */
  get beside(): pg.Pool {
    if (this.besidePool) return this.besidePool;
    const { url, applicationName, extra } = this.dataSource.options as { url: string; applicationName: string; extra: pg.PoolConfig };
    this.besidePool = new pg.Pool({ ...extra, connectionString: url, application_name: applicationName, max: besideMax });
    // A connection that breaks while nobody uses it is replaced when it is needed.
    this.besidePool.on('error', () => undefined);
    return this.besidePool;
  }

  get manager(): EntityManager {
    return this.dataSource.manager;
  }

  async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    const result = await this.dataSource.transaction(work);
    for (const listener of this.commitListeners) listener();
    return result;
  }

  /** Tells of each committed transaction; returns how to stop being told. */
  onCommit(listener: () => void): () => void {
    this.commitListeners.add(listener);
    return () => this.commitListeners.delete(listener);
  }

  /** Connects, trying again with growing pauses while the server is not up. */
  async connect(onRetry: (error: Error, attempt: number) => void, attemptsMax = 30): Promise<void> {
    for (let attempt = 1; !this.dataSource.isInitialized; attempt++) {
      try {
        await this.dataSource.initialize();
      } catch (error) {
        if (attempt >= attemptsMax) throw error;
        onRetry(error as Error, attempt);
        await new Promise((resolve) => setTimeout(resolve, Math.min(2_000, 100 * 2 ** attempt)));
      }
    }
  }

  /** Connects, then migrates under a lock so that two instances may start at once. */
  async start(onRetry: (error: Error, attempt: number) => void): Promise<void> {
    await this.connect(onRetry);
    await this.migrate();
    this.forgetPool = poolConnections([{ state: 'total' }, { state: 'idle' }, { state: 'waiting' }], () =>
      Promise.resolve([this.pool.totalCount, this.pool.idleCount, this.pool.waitingCount]),
    );
  }

  async ping(): Promise<void> {
    await this.pool.query('select 1');
  }

  async stop(): Promise<void> {
    this.forgetPool();
    await this.besidePool?.end();
    this.besidePool = undefined;
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  private async migrate(): Promise<void> {
    const lock = await this.pool.connect();
    try {
      await lock.query('set statement_timeout = 0');
      await lock.query(`select pg_advisory_lock(hashtext('pca:migrate'))`);
      await this.dataSource.runMigrations();
    } finally {
      // The session ends with the lock, whatever state it is in.
      lock.release(true);
    }
  }
}
