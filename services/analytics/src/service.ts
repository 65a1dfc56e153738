import { busConfigOf, createLogger, ServiceBus, type ServiceDefinition } from '@pca/service-kit';
import type { FastifyInstance } from 'fastify';
import { AppModule } from './app.module.js';
import { openDatabase } from './data-source.js';
import type { AnalyticsEnv } from './env.js';
import { ErasureJob } from './erasure/erasure.job.js';
import { TextSweep } from './erasure/text.sweep.js';
import { IngestService } from './ingest/ingest.service.js';
import { routeIngest } from './ingest/route-ingest.js';
import { ingestKeyCommand } from './ingest-keys/ingest-key-command.js';
import { IngestKeyService } from './ingest-keys/ingest-key.service.js';
import { IdentityStore } from './persons/identity.store.js';
import { SeenSweep } from './timelines/rows/seen-messages.js';
import { TimelineStore } from './timelines/timeline.store.js';
import { trackedEventConsumer } from './timelines/tracked-event.consumer.js';
import { Deletions } from './retention/deletions.js';
import { RetentionSweep } from './retention/retention.sweep.js';
import { workspaceConsumer } from './workspaces/workspace.consumer.js';
import { WorkspaceStore } from './workspaces/workspace.store.js';

const sweepMs = 60_000;

export const analyticsService = (env: AnalyticsEnv): ServiceDefinition => {
  const logger = createLogger({ name: 'analytics', level: env.LOG_LEVEL });
  const database = openDatabase(env);
  const bus = new ServiceBus(busConfigOf(env, 'analytics'), logger);
  const ingest = { eventsPerSecondMax: env.INGEST_EVENTS_PER_SECOND_MAX, eventsInFlightMax: env.INGEST_EVENTS_IN_FLIGHT_MAX };
  return {
    name: 'analytics',
    env,
    logger,
    database,
    bus,
    module: AppModule.of({ logger, production: env.NODE_ENV === 'production', database, bus, ingest }),
    prepare: (app) => {
      const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
      routeIngest(fastify, app.get(IngestService), app.get(IngestKeyService));
    },
    commands: { 'ingest-key': ingestKeyCommand },
    consumers: (app) => [
      trackedEventConsumer(app.get(TimelineStore), app.get(IdentityStore), env.DATABASE_POOL_MAX),
      workspaceConsumer(app.get(WorkspaceStore)),
    ],
    background: () => {
      const texts = new TextSweep();
      const deletions = new Deletions(database, new ErasureJob(bus, texts), new RetentionSweep(), texts, logger);
      deletions.start();
      const seen = new SeenSweep(database.pool);
      const timer = setInterval(() => {
        seen.work(new Date()).catch((err: unknown) => logger.warn({ err }, 'the sweep failed; it is tried again'));
      }, sweepMs);
      return Promise.resolve(() => {
        clearInterval(timer);
        return deletions.stop();
      });
    },
  };
};
