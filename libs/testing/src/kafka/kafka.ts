import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedKafka, embeddedKafkaMissing, type EmbeddedKafkaOptions, startEmbeddedKafka } from '@pca/embedded-kafka';
import { inject } from 'vitest';
import { requires } from '../requires.js';
import { askRunServer } from '../run-server.js';
import { type SecureAccess, secureListener } from './secure-listener.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Address at which the global set-up answers with the broker's. */
    pcaKafka: string;
  }
}

export interface TestKafka {
  /** For KAFKA_BROKERS: `127.0.0.1:<port>`. */
  readonly brokers: string;
}

export interface PrivateKafka {
  /** Where the broker's files are, until stop(). */
  readonly dataDir: string;
  /** The running broker; a new object after start(). */
  readonly server: EmbeddedKafka;
  /** For KAFKA_BROKERS; stays the same over kill() and start(). */
  readonly brokers: string;
  /** The way in for the users of the options; undefined when there are none. */
  readonly secure: SecureAccess | undefined;
  /** Ends the broker as kill -9 does. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same data and ports. */
  start(): Promise<void>;
  /** Shuts it down and removes its data. */
  stop(): Promise<void>;
}

interface PrivateKafkaOptions extends Pick<EmbeddedKafkaOptions, 'settings' | 'listeners' | 'onLog'> {
  /** Names and passwords (letters and digits) of a second way in, with TLS and SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. */
  readonly users?: Readonly<Record<string, string>>;
}

const folder = (): string => join(tmpdir(), `pca-test-kafka-${randomBytes(6).toString('hex')}`);

/** The one broker of a test run; the global set-up starts it when the first spec asks. */
export const startSharedKafka = (): Promise<EmbeddedKafka> => startEmbeddedKafka({ dataDir: folder(), temporary: true });

/** Whether specs that need a broker can run here: `describe.skipIf(!(await requiresKafka()))`. */
export const requiresKafka = async (): Promise<boolean> => {
  const fault = await embeddedKafkaMissing();
  return requires('Kafka', fault === undefined, fault?.message ?? '');
};

/** The shared broker of this test run. Callers name topics and groups of their own. */
export const testKafka = async (): Promise<TestKafka> => ({ brokers: await askRunServer(inject('pcaKafka'), 'Kafka') });

/** A broker of the caller's own, to be killed and started again at will. */
export const startPrivateKafka = async ({ users, onLog, ...options }: PrivateKafkaOptions = {}): Promise<PrivateKafka> => {
  const dataDir = folder();
  await mkdir(dataDir, { mode: 0o700 });
  const secure = users && (await secureListener(dataDir, users));
  const launch = (port?: number): Promise<EmbeddedKafka> =>
    startEmbeddedKafka({
      dataDir,
      listeners: [...(options.listeners ?? []), ...(secure ? [secure.listener] : [])],
      settings: { ...secure?.settings, ...options.settings },
      ...(users && { scramUsers: users }),
      ...(onLog && { onLog }),
      ...(port === undefined ? {} : { port }),
    });
  let server = await launch();
  const { port, brokers } = server;
  return {
    dataDir,
    brokers,
    secure: secure?.access,
    get server() {
      return server;
    },
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
