import { createDataSource, Database } from '@pca/service-kit';
import type { AnalyticsEnv } from './env.js';
import { Analytics1763900000000 } from './migrations/0001-analytics.js';
import { FreeTexts1764200000000 } from './migrations/0002-free-texts.js';

export const openDatabase = (env: Pick<AnalyticsEnv, 'DATABASE_URL' | 'DATABASE_POOL_MAX' | 'DATABASE_STATEMENT_MS_MAX'>): Database =>
  new Database(
    createDataSource({
      name: 'analytics',
      url: env.DATABASE_URL,
      entities: [],
      migrations: [Analytics1763900000000, FreeTexts1764200000000],
      poolMax: env.DATABASE_POOL_MAX,
      statementMsMax: env.DATABASE_STATEMENT_MS_MAX,
    }),
  );
