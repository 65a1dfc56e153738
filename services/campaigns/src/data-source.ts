import { createDataSource, Database } from '@pca/service-kit';
import { AuditEntry } from './audit/audit.entity.js';
import type { CampaignsEnv } from './env.js';
import { ImportJob } from './imports/import-job.entity.js';
import { Campaigns1763800000000 } from './migrations/0001-campaigns.js';
import { OutboxDead1764100000000 } from './migrations/0002-outbox-dead.js';
import { Workspace } from './workspaces/workspace.entity.js';

export const openDatabase = (env: Pick<CampaignsEnv, 'DATABASE_URL' | 'DATABASE_POOL_MAX' | 'DATABASE_STATEMENT_MS_MAX'>): Database =>
  new Database(
    createDataSource({
      name: 'campaigns',
      url: env.DATABASE_URL,
      entities: [AuditEntry, ImportJob, Workspace],
      migrations: [Campaigns1763800000000, OutboxDead1764100000000],
      poolMax: env.DATABASE_POOL_MAX,
      statementMsMax: env.DATABASE_STATEMENT_MS_MAX,
    }),
  );
