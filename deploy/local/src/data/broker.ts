import { type EmbeddedKafka, EmbeddedKafkaError, startEmbeddedKafka } from '@pca/embedded-kafka';
import type { ProcessIdentity } from '@pca/embedded-postgres';
import { folderError, OperatorError } from '../operator-error.js';
import { OwnServer } from './own-server.js';

/** The Kafka broker that events travel over with BUS=kafka: one of our own or those that the user names. */
export interface Broker {
  readonly embedded: boolean;
  readonly port?: number;
  readonly state: string;
  /** For KAFKA_BROKERS. */
  readonly brokers: string;
  setCompanions(companions: readonly ProcessIdentity[]): void;
  stop(): Promise<void>;
}

interface BrokerOptions {
  readonly onLine: (line: string) => void;
  readonly onNews: (message: string, level: 'info' | 'warn') => void;
  readonly onChange: () => void;
  /** Ends a start that is still fetching Kafka. */
  readonly signal: AbortSignal;
}

/** Brokers that the user names; everything about them is the user's, and services say whether they answer. */
export const useBrokers = (brokers: string): Broker => ({
  embedded: false,
  state: 'given',
  brokers,
  setCompanions: () => undefined,
  stop: () => Promise.resolve(),
});

/** Starts a broker, fetching it when it is not there yet; it is started again when it dies. Throws OperatorError. */
export const startOwnBroker = async (dataDir: string, { onLine, onNews, onChange, signal }: BrokerOptions): Promise<Broker> => {
  const launch = (port?: number): Promise<EmbeddedKafka> =>
    startEmbeddedKafka({
      dataDir,
      onLog: onLine,
      onNews: (message) => onNews(message, 'info'),
      signal,
      ...(port === undefined ? {} : { port }),
    });
  const first = await launch().catch((error: unknown) => {
    throw error instanceof EmbeddedKafkaError ? new OperatorError(error.message, { cause: error }) : folderError(dataDir, error);
  });
  const own = new OwnServer(first, { name: 'kafka', launch, onNews, onChange });
  return {
    embedded: true,
    port: first.port,
    brokers: first.brokers,
    get state() {
      return own.state;
    },
    setCompanions: (companions) => own.setCompanions(companions),
    stop: () => own.stop(),
  };
};
