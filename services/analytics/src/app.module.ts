import { type DynamicModule, Module } from '@nestjs/common';
import { Database, type Logger, type ServiceBus, subgraphModule } from '@pca/service-kit';
import { BehaviourController } from './behaviour/behaviour.controller.js';
import { BehaviourReader } from './behaviour/behaviour.reader.js';
import { BehaviourResolver, CampaignBehaviourResolver } from './behaviour/behaviour.resolver.js';
import { BehaviourService } from './behaviour/behaviour.service.js';
import { Analytics, Campaign } from './behaviour/behaviour.types.js';
import { CampaignBehaviourReader } from './behaviour/campaign-behaviour.reader.js';
import { Questions } from './questions/questions.service.js';
import { VocabularyReader } from './questions/vocabulary.reader.js';
import { ErasureController } from './erasure/erasure.controller.js';
import { ErasureResolver } from './erasure/erasure.resolver.js';
import { ErasureService } from './erasure/erasure.service.js';
import { ErasureStore } from './erasure/erasure.store.js';
import { FeatureController } from './features/feature.controller.js';
import { FeatureReader } from './features/feature.reader.js';
import { FeatureResolver } from './features/feature.resolver.js';
import { FeatureService } from './features/feature.service.js';
import { Freshness } from './freshness/freshness.service.js';
import { type IngestLimits, IngestService } from './ingest/ingest.service.js';
import { TrackingResolver } from './ingest/tracking.resolver.js';
import { TrackingService } from './ingest/tracking.service.js';
import { IngestKeyController } from './ingest-keys/ingest-key.controller.js';
import { IngestKeyResolver } from './ingest-keys/ingest-key.resolver.js';
import { IngestKeyService } from './ingest-keys/ingest-key.service.js';
import { IngestKeyStore } from './ingest-keys/ingest-key.store.js';
import { IdentityStore } from './persons/identity.store.js';
import { PersonStore } from './persons/person.store.js';
import { SessionStore } from './persons/session.store.js';
import { RetentionResolver } from './retention/retention.resolver.js';
import { RetentionService } from './retention/retention.service.js';
import { SessionController } from './sessions/session.controller.js';
import { SessionReader } from './sessions/session.reader.js';
import { SessionResolver } from './sessions/session.resolver.js';
import { SessionService } from './sessions/session.service.js';
import { Dictionary } from './timelines/dictionary.store.js';
import { Partitions } from './timelines/rows/partitions.store.js';
import { TimelineStore } from './timelines/timeline.store.js';
import { JourneyReader } from './users/journey.reader.js';
import { UserController } from './users/user.controller.js';
import { UserReader } from './users/user.reader.js';
import { SessionUserResolver, UserResolver } from './users/user.resolver.js';
import { UserService } from './users/user.service.js';
import { UserStatsReader } from './users/user-stats.reader.js';
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
      imports: [subgraphModule({ logger, production, orphanedTypes: [Analytics, Campaign] })],
      controllers: [BehaviourController, ErasureController, FeatureController, IngestKeyController, SessionController, UserController],
      providers: [
        { provide: Database, useValue: database },
        BehaviourReader,
        BehaviourResolver,
        BehaviourService,
        CampaignBehaviourReader,
        CampaignBehaviourResolver,
        Dictionary,
        IdentityStore,
        ErasureResolver,
        ErasureService,
        ErasureStore,
        FeatureReader,
        FeatureResolver,
        FeatureService,
        {
          provide: Freshness,
          useFactory: () => new Freshness(database, bus),
        },
        IngestKeyResolver,
        IngestKeyService,
        IngestKeyStore,
        {
          provide: IngestService,
          inject: [WorkspaceStore, Dictionary],
          useFactory: (...parts: [WorkspaceStore, Dictionary]) => new IngestService(ingest, bus, ...parts),
        },
        JourneyReader,
        Partitions,
        PersonStore,
        Questions,
        RetentionResolver,
        RetentionService,
        SessionReader,
        SessionResolver,
        SessionService,
        SessionStore,
        SessionUserResolver,
        TimelineStore,
        TrackingResolver,
        TrackingService,
        UserReader,
        UserResolver,
        UserService,
        UserStatsReader,
        VocabularyReader,
        WorkspaceStore,
      ],
    };
  }
}
