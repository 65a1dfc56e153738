import { busConfigOf, createLogger, pruneIdempotencyKeys, ServiceBus, type ServiceDefinition } from '@pca/service-kit';
import { AppModule } from './app.module.js';
import { openDatabase } from './data-source.js';
import type { AnalyticsEnv } from './env.js';
import { workspaceConsumer } from './workspaces/workspace.consumer.js';
import { WorkspaceStore } from './workspaces/workspace.store.js';

const sweepMs = 60_000;

export const analyticsService = (env: AnalyticsEnv): ServiceDefinition => {
  const logger = createLogger({ name: 'analytics', level: env.LOG_LEVEL });
  const database = openDatabase(env);
  return {
    name: 'analytics',
    env,
    logger,
    database,
    bus: new ServiceBus(busConfigOf(env, 'analytics'), logger),
    module: AppModule.of({ logger, production: env.NODE_ENV === 'production', database }),
    consumers: (app) => [workspaceConsumer(app.get(WorkspaceStore))],
    background: () => {
      const timer = setInterval(() => {
        pruneIdempotencyKeys(database.pool).catch((err: unknown) => logger.warn({ err }, 'the sweep failed; it is tried again'));
      }, sweepMs);
      return Promise.resolve(() => {
        clearInterval(timer);
        return Promise.resolve();
      });
    },
  };
};
