import { readFileSync } from 'node:fs';
import { eventDefinitions } from '@pca/contracts';
import type { EventBusConfig } from '@pca/event-bus';
import type { BusEnv } from '../env.js';

/** How to open the bus that a checked environment names. Throws when it names none, which `parseEnv` does not let pass. */
export const busConfigOf = (env: BusEnv, name: string): EventBusConfig => {
  const topics = topicsOf(env.BUS_PARTITIONS);
  if (env.BUS === 'postgres') {
    if (env.BUS_URL === undefined) throw new Error('BUS=postgres needs BUS_URL');
    return { bus: 'postgres', url: env.BUS_URL, topics };
  }
  if (env.KAFKA_BROKERS === undefined) throw new Error('BUS=kafka needs KAFKA_BROKERS');
  return {
    bus: 'kafka',
    brokers: env.KAFKA_BROKERS,
    clientId: name,
    topics,
    ...(env.KAFKA_REPLICATION_FACTOR !== undefined && { replicationFactor: env.KAFKA_REPLICATION_FACTOR }),
    ...(env.KAFKA_SSL && { ssl: certificatesOf(env) }),
    ...saslOf(env),
  };
};

/** Every topic that a contract names. Those of dead letters, which follow from them, are left as the bus makes them. */
const topicsOf = (partitions: number): Record<string, { partitions: number }> =>
  Object.fromEntries(
    eventDefinitions()
      .filter(({ topic }) => !topic.includes('{'))
      .map(({ topic }) => [topic, { partitions }]),
  );

type Kafka = Extract<EventBusConfig, { bus: 'kafka' }>;

const certificatesOf = (env: BusEnv): NonNullable<Kafka['ssl']> => {
  const { KAFKA_SSL_CA_FILE: ca, KAFKA_SSL_CERT_FILE: cert, KAFKA_SSL_KEY_FILE: key } = env;
  const read = (path: string): string => readFileSync(path, 'utf8');
  return { ...(ca && { ca: read(ca) }), ...(cert && { cert: read(cert) }), ...(key && { key: read(key) }) };
};

const saslOf = (env: BusEnv): Pick<Kafka, 'sasl'> => {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = env;
  return mechanism && username && password ? { sasl: { mechanism, username, password } } : {};
};
