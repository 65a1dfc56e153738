import { busConfigOf, createLogger, pruneIdempotencyKeys, ServiceBus, type ServiceDefinition } from '@pca/service-kit';
import { AppModule } from './app.module.js';
import { openDatabase } from './data-source.js';
import type { CampaignsEnv } from './env.js';
import { acceptFiles } from './imports/accept-files.js';
import { ImportStore } from './imports/import.store.js';

const sweepMs = 60_000;

export const campaignsService = (env: CampaignsEnv): ServiceDefinition => {
  const logger = createLogger({ name: 'campaigns', level: env.LOG_LEVEL });
  const database = openDatabase(env);
  return {
    name: 'campaigns',
    env,
    logger,
    database,
    bus: new ServiceBus(busConfigOf(env, 'campaigns'), logger),
    module: AppModule.of({
      logger,
      production: env.NODE_ENV === 'production',
      database,
      imports: { bytesMax: env.IMPORT_BYTES_MAX, atOnceMax: env.IMPORTS_AT_ONCE_MAX },
    }),
    prepare: acceptFiles,
    background: (app) => {
      const sweep = (): void => {
        Promise.all([app.get(ImportStore).sweep(), pruneIdempotencyKeys(database.pool)]).catch((err: unknown) =>
          logger.warn({ err }, 'the sweep failed; it is tried again'),
        );
      };
      sweep();
      const timer = setInterval(sweep, sweepMs);
      return Promise.resolve(() => {
        clearInterval(timer);
        return Promise.resolve();
      });
    },
  };
};
