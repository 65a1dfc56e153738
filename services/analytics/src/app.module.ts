import { type DynamicModule, Module } from '@nestjs/common';
import { Database, type Logger, type ServiceBus, subgraphModule } from '@pca/service-kit';
import { Analytics, BehaviourResolver } from './behaviour/behaviour.resolver.js';
import { ErasureResolver } from './erasure/erasure.resolver.js';
import { ErasureService } from './erasure/erasure.service.js';
import { ErasureStore } from './erasure/erasure.store.js';
import { type IngestLimits, IngestService } from './ingest/ingest.service.js';
import { IngestKeyResolver } from './ingest-keys/ingest-key.resolver.js';
import { IngestKeyService } from './ingest-keys/ingest-key.service.js';
import { IngestKeyStore } from './ingest-keys/ingest-key.store.js';
import { IdentityStore } from './persons/identity.store.js';
import { PersonStore } from './persons/person.store.js';
import { SessionStore } from './persons/session.store.js';
import { Dictionary } from './timelines/dictionary.js';
import { Partitions } from './timelines/rows/partitions.js';
import { TimelineStore } from './timelines/timeline.store.js';
import { RetentionResolver } from './retention/retention.resolver.js';
import { RetentionService } from './retention/retention.service.js';
import { WorkspaceStore } from './workspaces/workspace.store.js';

export interface AppOptions {
  logger: Logger;
  production: boolean;
  database: Database;
  bus: ServiceBus;
  ingest: IngestLimits;
}

@Module({})
export class AppModule {
  static of({ logger, production, database, bus, ingest }: AppOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [subgraphModule({ logger, production, orphanedTypes: [Analytics] })],
      providers: [
        { provide: Database, useValue: database },
        BehaviourResolver,
        Dictionary,
        IdentityStore,
        ErasureResolver,
        ErasureService,
        ErasureStore,
        IngestKeyResolver,
        IngestKeyService,
        IngestKeyStore,
        {
          provide: IngestService,
          inject: [WorkspaceStore, Dictionary],
          useFactory: (...parts: [WorkspaceStore, Dictionary]) => new IngestService(ingest, bus, ...parts),
        },
        Partitions,
        PersonStore,
        SessionStore,
        TimelineStore,
        RetentionResolver,
        RetentionService,
        WorkspaceStore,
      ],
    };
  }
}
