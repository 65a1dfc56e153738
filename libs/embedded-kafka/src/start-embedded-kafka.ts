import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import {
  freePort,
  isPortFree,
  keepServer,
  type KeptServer,
  lockFolder,
  processIdentity,
  type ProcessIdentity,
  type ServerExit,
} from '@pca/embedded-postgres';
import { EmbeddedKafkaError } from './embedded-kafka-error.js';
import { findJava } from './fetch/find-java.js';
import { checkJars, kafkaJars } from './fetch/kafka-jars.js';
import { endLeftovers } from './server/leftovers.js';
import type { KafkaListener } from './server/server-properties.js';
import { brokerCommand, ensureStorage, faultOf, rememberedStart, rememberStart, type StartRecord } from './server/storage.js';

export interface EmbeddedKafkaOptions {
  /** A folder for the broker alone; created when missing, its parent too. */
  readonly dataDir: string;
  /** TCP port on 127.0.0.1; absent: the one of the last start if it is free, else any free one. */
  readonly port?: number;
  /** One line of the broker's log. */
  readonly onLog?: (line: string) => void;
  /** What is going on while Kafka is fetched, for a person who waits. */
  readonly onNews?: (message: string) => void;
  /** Broker settings, over our own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Further listeners; what they need (keys, users) goes into `settings`. */
  readonly listeners?: readonly KafkaListener[];
  /** Names and passwords for SCRAM-SHA-256 and -512; only heeded when the folder is new. */
  readonly scramUsers?: Readonly<Record<string, string>>;
  /** For tests: the folder is removed at the end, however that comes. */
  readonly temporary?: boolean;
  /** Ends a start that is still fetching; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface EmbeddedKafka {
  /** For KAFKA_BROKERS: `127.0.0.1:<port>`. */
  readonly brokers: string;
  readonly port: number;
  /** The broker's process. */
  readonly pid: number;
  /** The process that ends the broker when this one is gone. */
  readonly keeperPid: number;
  /** Settles when the broker has ended, wanted or not. */
  readonly exited: Promise<ServerExit>;
  /** Names the process groups that end before the broker does if this process dies without stop(). */
  setCompanions(companions: readonly ProcessIdentity[]): void;
  /** A clean shutdown, by force after half a minute. Repeated calls wait for the same end. */
  stop(): Promise<void>;
}

const readyMs = 90_000;

/** Two ports that are free and not among those of other listeners; the ones of the last start if they are. */
const choosePorts = async (
  { port: wanted, listeners = [] }: EmbeddedKafkaOptions,
  last: StartRecord | undefined,
): Promise<{ port: number; controllerPort: number }> => {
  const used = new Set(listeners.map(({ port }) => port));
  const choose = async (first: number | undefined): Promise<number> => {
    let port = first;
    while (port === undefined || used.has(port) || !(await isPortFree(port))) port = await freePort();
    used.add(port);
    return port;
  };
  const port = await choose(wanted ?? last?.port);
  if (wanted !== undefined && port !== wanted) throw new EmbeddedKafkaError('PORT_TAKEN', `Port ${wanted} for Kafka is taken`);
  return { port, controllerPort: await choose(last?.controllerPort) };
};

/** Resolves at the broker's own word, which comes when every listener answers. */
const untilReady = async (server: KeptServer, said: Promise<void>, dataDir: string): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const message = `Kafka was not ready within ${readyMs / 1000} s`;
    timer = setTimeout(() => reject(new EmbeddedKafkaError('START_FAILED', message, server.lastLines())), readyMs);
  });
  const ended = server.exited.then(() => {
    throw faultOf(server.lastLines(), dataDir);
  });
  try {
    await Promise.race([said, ended, late]);
  } finally {
    clearTimeout(timer);
    ended.catch(() => undefined);
  }
};

const launch = async (options: EmbeddedKafkaOptions, dataDir: string, release: () => void): Promise<EmbeddedKafka> => {
  const { onLog = () => undefined, onNews = () => undefined, signal } = options;
  const java = await findJava();
  const program = { java, jars: await kafkaJars({ java, onNews, ...(signal && { signal }) }) };
  const last = rememberedStart(dataDir);
  if (last) await endLeftovers(last, onLog);
  const ports = await choosePorts(options, last);
  const settings = { ...ports, listeners: options.listeners ?? [], settings: options.settings ?? {} };
  await ensureStorage(dataDir, program, settings, options.scramUsers ?? {});
  let sayReady: () => void;
  const said = new Promise<void>((resolve) => (sayReady = resolve));
  const server = await keepServer({
    command: await brokerCommand(dataDir, program, settings),
    onLog: (line) => {
      if (line.includes('Kafka Server started')) sayReady();
      onLog(line);
    },
    ...(options.temporary ? { temporaryFolder: dataDir } : {}),
  }).catch((cause: Error) => {
    throw new EmbeddedKafkaError('START_FAILED', `Kafka did not start: ${cause.message}`, [], { cause });
  });
  void server.exited.then(release);
  try {
    rememberStart(dataDir, { ...ports, keeper: processIdentity(server.keeperPid), server: processIdentity(server.pid) });
    await untilReady(server, said, dataDir);
  } catch (error) {
    await server.stop();
    throw error;
  }
  const { pid, keeperPid, exited, setCompanions, stop } = server;
  return { brokers: `127.0.0.1:${ports.port}`, port: ports.port, pid, keeperPid, exited, setCompanions, stop };
};

/**
 * Starts a Kafka broker of our own, one node that is its own controller, on 127.0.0.1 and on data that stays. It ends when this process
 * does, in any way, after a proper shutdown. What it acknowledged outlives any end of its process; as Kafka does everywhere, it leaves
 * writing to the disk to the operating system. Rejects with EmbeddedKafkaError; file system errors of the data folder come as they are.
 */
export const startEmbeddedKafka = async (options: EmbeddedKafkaOptions): Promise<EmbeddedKafka> => {
  if (!existsSync(options.dataDir)) mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = realpathSync(options.dataDir);
  // Kafka would take it for two folders.
  if (dataDir.includes(',')) throw new EmbeddedKafkaError('START_FAILED', `Kafka cannot work in ${dataDir}: its path has a comma`);
  const lock = await lockFolder(dataDir);
  if (!lock) throw new EmbeddedKafkaError('FOLDER_IN_USE', `The data folder ${dataDir} is in use by another process`);
  try {
    return await launch(options, dataDir, () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
};

/** Why a start would fail on this machine for want of a program; undefined when nothing is wanting. Starts and fetches nothing. */
export const embeddedKafkaMissing = async (): Promise<EmbeddedKafkaError | undefined> => {
  try {
    await findJava();
    checkJars();
    return undefined;
  } catch (error) {
    if (error instanceof EmbeddedKafkaError) return error;
    throw error;
  }
};
