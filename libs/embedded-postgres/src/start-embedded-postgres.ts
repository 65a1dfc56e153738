import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { postgresBinaries } from './server/binaries.js';
import {
  clusterFolder,
  ensureCluster,
  faultOf,
  password,
  rememberedKeeper,
  rememberedPort,
  rememberKeeper,
  rememberPort,
  serverSettings,
  superuser,
} from './server/cluster.js';
import { createDatabaseIfMissing } from './databases.js';
import { EmbeddedPostgresError } from './embedded-postgres-error.js';
import { lockFolder } from './machine/folder-lock.js';
import { freePort, isPortFree } from './machine/free-port.js';
import { type KeptServer, keepServer, type ServerExit } from './server/kept-server.js';
import { endLeftovers, readPostmasterFile } from './server/leftovers.js';
import { processIdentity, type ProcessIdentity } from './machine/process-identity.js';
import { alignOwner, chooseRunAs, dieWithParent } from './machine/run-as.js';
import { type Listener, socketFolderInUse, usableSocketFolder } from './server/listener.js';

export interface EmbeddedPostgresOptions {
  /** A folder for the server alone (cluster, password, port); created when missing, its parent too. */
  readonly dataDir: string;
  /** TCP port on 127.0.0.1; absent: the one of the last start if it is free, else any free one. */
  readonly port?: number;
  /** One line of the server's log. */
  readonly onLog?: (line: string) => void;
  /** More server settings, over our own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** For tests: the folder is removed at the end, however that comes, and making the cluster does not wait for the disk. */
  readonly temporary?: boolean;
}

export interface EmbeddedPostgres {
  readonly port: number;
  /** The server's process. */
  readonly pid: number;
  /** The process that ends the server when this one is gone. */
  readonly keeperPid: number;
  /** How the server runs, for the log: "the same user", "a user namespace", … */
  readonly runsAs: string;
  /** Settles when the server has ended, wanted or not. */
  readonly exited: Promise<ServerExit>;
  /** Connection string of a database, with the superuser's password: by a Unix socket where the system has them, else over TCP. */
  url(database?: string): string;
  /** True when it was created, false when it was there. */
  createDatabase(name: string): Promise<boolean>;
  /** Names the process groups that end before the server does if this process dies without stop(). */
  setCompanions(companions: readonly ProcessIdentity[]): void;
  /** Fast shutdown; sessions that are still open are ended, what they committed stays. Repeated calls wait for the same end. */
  stop(): Promise<void>;
}

/** Programs that know no `host` among the parameters, or that cannot reach the socket's folder, find the same server over TCP. */
const connectUrl = ({ port, socketFolder }: Listener, secret: string, database: string): string => {
  const socket = socketFolder === undefined ? '' : `?host=${encodeURIComponent(socketFolder)}`;
  return `postgresql://${superuser}:${encodeURIComponent(secret)}@127.0.0.1:${port}/${encodeURIComponent(database)}${socket}`;
};

/** Where a server that somebody started on the folder listened last; undefined when none ever did. */
export const rememberedUrl = (dataDir: string, database = 'postgres'): string | undefined => {
  const port = rememberedPort(dataDir);
  if (port === undefined) return undefined;
  // As the server names it: of a path that is not absolute, a client would take the folder for a host's name.
  const socketFolder = socketFolderInUse(clusterFolder(realpathSync(dataDir)), port);
  return connectUrl({ port, socketFolder }, password(dataDir), database);
};

const choosePort = async (wanted: number | undefined, dataDir: string): Promise<number> => {
  if (wanted !== undefined) {
    if (await isPortFree(wanted)) return wanted;
    throw new EmbeddedPostgresError('PORT_TAKEN', `Port ${wanted} for Postgres is taken`);
  }
  const remembered = rememberedPort(dataDir);
  return remembered !== undefined && (await isPortFree(remembered)) ? remembered : freePort();
};

const readyMs = 60_000;

/** Ready by the server's own word, then by a real connection: the word alone would not tell that the password fits. */
const untilReady = async (server: KeptServer, cluster: string, url: string): Promise<void> => {
  let ended = false;
  void server.exited.then(() => (ended = true));
  for (const deadline = Date.now() + readyMs; !ended; await sleep(20)) {
    const file = readPostmasterFile(cluster);
    if (file?.ready && file.pid === server.pid) break;
    if (Date.now() > deadline)
      throw new EmbeddedPostgresError('START_FAILED', `Postgres was not ready within ${readyMs / 1000} s`, server.lastLines());
  }
  if (ended) throw faultOf(server.lastLines(), dirname(cluster));
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (cause) {
    throw new EmbeddedPostgresError(
      'PASSWORD_LOST',
      `Postgres refuses the password kept in ${dirname(cluster)}/password`,
      server.lastLines(),
      { cause },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
};

const launch = async (options: EmbeddedPostgresOptions, dataDir: string, release: () => void): Promise<EmbeddedPostgres> => {
  const cluster = clusterFolder(dataDir);
  const onLog = options.onLog ?? (() => undefined);
  const binaries = await postgresBinaries();
  const runAs = await chooseRunAs(binaries.postgres, dirname(dataDir));
  const secret = password(dataDir);
  await ensureCluster({ dataDir, binaries, runAs, temporary: options.temporary ?? false });
  await endLeftovers(cluster, rememberedKeeper(dataDir), onLog);
  alignOwner(dataDir, runAs);
  const port = await choosePort(options.port, dataDir);
  const listener: Listener = { port, socketFolder: await usableSocketFolder(cluster) };
  const settings = Object.entries({ ...serverSettings(listener), ...options.settings }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const server = await keepServer({
    command: await dieWithParent(runAs, 'INT', binaries.postgres, ['-D', cluster, ...settings]),
    onLog,
    ...(options.temporary ? { temporaryFolder: dataDir } : {}),
  }).catch((cause: Error) => {
    throw new EmbeddedPostgresError('START_FAILED', `Postgres did not start: ${cause.message}`, [], { cause });
  });
  rememberKeeper(dataDir, processIdentity(server.keeperPid));
  void server.exited.then(release);
  try {
    await untilReady(server, cluster, connectUrl(listener, secret, 'postgres'));
  } catch (error) {
    await server.stop();
    throw error;
  }
  rememberPort(dataDir, port);
  return {
    port,
    pid: server.pid,
    keeperPid: server.keeperPid,
    runsAs: runAs.name,
    exited: server.exited,
    url: (database = 'postgres') => connectUrl(listener, secret, database),
    createDatabase: (name) => createDatabaseIfMissing(connectUrl(listener, secret, 'postgres'), name),
    setCompanions: server.setCompanions,
    stop: server.stop,
  };
};

/**
 * Starts a Postgres server of our own on 127.0.0.1, on data that stays. It ends when this process does, in any way, after a proper
 * shutdown. Rejects with EmbeddedPostgresError; file system errors of the data folder come as they are.
 */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  if (!existsSync(options.dataDir)) mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = realpathSync(options.dataDir);
  const lock = await lockFolder(dataDir);
  if (!lock) throw new EmbeddedPostgresError('IN_USE', `The data folder ${dataDir} is in use by another process`);
  try {
    return await launch(options, dataDir, () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
};
