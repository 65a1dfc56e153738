import { type DynamicModule, Module } from '@nestjs/common';
import { Database, type Logger, subgraphModule } from '@pca/service-kit';
import { Analytics, BehaviourResolver } from './behaviour/behaviour.resolver.js';
import { WorkspaceStore } from './workspaces/workspace.store.js';

export interface AppOptions {
  logger: Logger;
  production: boolean;
  database: Database;
}

@Module({})
export class AppModule {
  static of({ logger, production, database }: AppOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [subgraphModule({ logger, production, orphanedTypes: [Analytics] })],
      providers: [{ provide: Database, useValue: database }, BehaviourResolver, WorkspaceStore],
    };
  }
}
