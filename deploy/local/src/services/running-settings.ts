import { databaseUrl, rememberedUrl } from '@pca/embedded-postgres';
import { dataPaths } from '../data/data-folder.js';
import { readRunning } from '../data/run-file.js';
import type { LocalEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { localAuth } from './local-auth.js';
import type { InstanceSettings } from './service-environment.js';

/**
 * With what the services of the running system were started, for commands that act on their databases and on the bus. Throws OperatorError
 * when nothing runs on the data folder, or runs on servers that only the environment of its start names.
 */
export const runningSettings = async (env: LocalEnv): Promise<InstanceSettings> => {
  const paths = dataPaths(env.dataDir);
  const running = readRunning(paths.run);
  if (!running) throw new OperatorError('The system is not running on this data folder: run npm start first, in another terminal');
  const serverUrl = running.postgres.embedded ? rememberedUrl(paths.postgres) : env.databaseUrl;
  if (serverUrl === undefined)
    throw new OperatorError('The system runs on a Postgres server of its own choice: set DATABASE_URL as for npm start');
  const { kafka } = running;
  const brokers = kafka?.embedded ? `127.0.0.1:${kafka.port}` : env.kafkaBrokers;
  if (kafka && brokers === undefined)
    throw new OperatorError('The system runs on Kafka brokers of its own choice: set KAFKA_BROKERS as for npm start');
  // Loaded late: it brings the whole of a service's frame, and a refusal should not wait for that.
  const { ensureLocalIssuer } = await import('@pca/service-kit');
  return {
    gatewayPort: env.gatewayPort,
    portBase: env.portBase,
    given: { ...env.given, BUS: kafka ? 'kafka' : 'postgres' },
    databaseUrl: (name) => databaseUrl(serverUrl, name),
    ...(kafka && brokers !== undefined && { kafkaBrokers: brokers }),
    auth: env.issuer ?? (await localAuth(await ensureLocalIssuer(paths.auth), paths)),
  };
};
