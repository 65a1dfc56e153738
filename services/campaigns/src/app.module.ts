import { type DynamicModule, Module } from '@nestjs/common';
import { Database, type Logger, subgraphModule } from '@pca/service-kit';
import { AuditStore } from './audit/audit.store.js';
import { CampaignConnectionResolver } from './campaigns/campaign-connection.resolver.js';
import { CampaignController } from './campaigns/campaign.controller.js';
import { CampaignResolver } from './campaigns/campaign.resolver.js';
import { CampaignService } from './campaigns/campaign.service.js';
import { CampaignStore } from './campaigns/campaign.store.js';
import { ImportController } from './imports/import.controller.js';
import { type ImportLimits, ImportService } from './imports/import.service.js';
import { ImportStore } from './imports/import.store.js';
import { PerformanceController } from './performance/performance.controller.js';
import { PerformanceResolver } from './performance/performance.resolver.js';
import { PerformanceService } from './performance/performance.service.js';
import { PerformanceStore } from './performance/performance.store.js';
import { TotalsResolver } from './totals/totals.resolver.js';
import { TotalsService } from './totals/totals.service.js';
import { TotalsStore } from './totals/totals.store.js';
import { WorkspaceResolver } from './workspaces/workspace.resolver.js';
import { WorkspaceService } from './workspaces/workspace.service.js';

export interface AppOptions {
  logger: Logger;
  production: boolean;
  database: Database;
  imports: ImportLimits;
}

@Module({})
export class AppModule {
  static of({ logger, production, database, imports }: AppOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [subgraphModule({ logger, production })],
      // Routes of a fixed word come before those of an id.
      controllers: [PerformanceController, CampaignController, ImportController],
      providers: [
        { provide: Database, useValue: database },
        AuditStore,
        CampaignConnectionResolver,
        CampaignResolver,
        CampaignService,
        CampaignStore,
        ImportStore,
        {
          provide: ImportService,
          inject: [ImportStore, CampaignService, PerformanceStore, PerformanceService, WorkspaceService],
          useFactory: (...parts: [ImportStore, CampaignService, PerformanceStore, PerformanceService, WorkspaceService]) =>
            new ImportService(imports, database, ...parts),
        },
        PerformanceResolver,
        PerformanceService,
        PerformanceStore,
        TotalsResolver,
        TotalsService,
        TotalsStore,
        WorkspaceResolver,
        WorkspaceService,
      ],
    };
  }
}
