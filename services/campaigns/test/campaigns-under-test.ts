import type { EventEnvelope } from '@pca/contracts';
import { decodeMessage } from '@pca/event-bus';
import type { Database } from '@pca/service-kit';
import { type RunningService, startTestService, testIssuer, testPostgres } from '@pca/testing';
import type { CampaignsEnv } from '../src/env.js';
import { campaignsService } from '../src/service.js';

export interface CampaignsUnderTest {
  service: RunningService;
  database: Database;
  /** A token of the role in a workspace; `demo` unless said otherwise. */
  token(role?: 'viewer' | 'editor' | 'owner' | 'sre', workspace?: string, ttlSeconds?: number): Promise<string>;
  /** Events in the outbox, oldest first; taken out, so that the next call shows what came since. */
  takeEvents(): Promise<EventEnvelope<Record<string, unknown>>[]>;
  stop(): Promise<void>;
}

/** The campaigns service in this process, on a database of its own; events stay in the outbox. */
export const startCampaigns = async (overrides: Partial<CampaignsEnv> = {}): Promise<CampaignsUnderTest> => {
  const postgres = await testPostgres();
  const { url } = await postgres.createDatabase();
  const issuer = await testIssuer();
  const definition = campaignsService({
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: 1,
    LOG_LEVEL: 'silent',
    SHUTDOWN_SECONDS_MAX: 5,
    DATABASE_URL: url,
    BUS: 'postgres',
    BUS_URL: url,
    BUS_PARTITIONS: 1,
    KAFKA_SSL: false,
    DATABASE_POOL_MAX: 10,
    DATABASE_STATEMENT_MS_MAX: 30_000,
    IMPORT_BYTES_MAX: 64 * 1024 * 1024,
    IMPORTS_AT_ONCE_MAX: 4,
    ...issuer.env,
    ...overrides,
  });
  const service = await startTestService(definition);
  const database = definition.database as Database;
  return {
    service,
    database,
    token: (role = 'editor', workspace = 'demo', ttlSeconds = 3600) => issuer.issue({ role, workspace, ttlSeconds }),
    takeEvents: async () => {
      const { rows } = await database.pool.query<{ topic: string; message: string }>(
        'with taken as (delete from outbox returning *) select topic, message from taken order by id',
      );
      return rows.map(({ topic, message }) => decodeMessage(topic, message).envelope as EventEnvelope<Record<string, unknown>>);
    },
    stop: async () => {
      await service.stop();
      await postgres.stop();
      await issuer.remove();
    },
  };
};
