import type { EventEnvelope } from '@pca/contracts';
import { readTopic } from '@pca/event-bus';
import type { Database, ServiceBus } from '@pca/service-kit';
import { type RunningService, startTestService, testIssuer, testPostgres } from '@pca/testing';
import { type AnalyticsEnv, readEnv } from '../src/env.js';
import { analyticsService } from '../src/service.js';

type Payload = Record<string, unknown>;

export interface IngestUnderTest {
  readonly service: RunningService;
  readonly database: Database;
  /** A token of the role in a workspace; `demo` unless said otherwise. */
  token(role?: 'viewer' | 'analyst' | 'editor' | 'owner', workspace?: string): Promise<string>;
  /** What lies on the bus, by messageId: every delivery of it. */
  published(): Promise<Map<string, EventEnvelope<Payload>[]>>;
  stop(): Promise<void>;
}

/** The analytics service in this process, without its consumers, on a database and a bus of its own. */
export const startIngest = async (settings: Record<string, string> = {}): Promise<IngestUnderTest> => {
  const postgres = await testPostgres();
  const [{ url }, { url: busUrl }] = [await postgres.createDatabase(), await postgres.createDatabase()];
  const issuer = await testIssuer();
  const env: AnalyticsEnv = readEnv({
    NODE_ENV: 'test',
    PORT: '1',
    LOG_LEVEL: 'silent',
    DATABASE_URL: url,
    BUS_URL: busUrl,
    BUS_PARTITIONS: '2',
    ...issuer.env,
    ...settings,
  });
  const definition = analyticsService(env);
  const bus = definition.bus as ServiceBus;
  const service = await startTestService(definition);
  return {
    service,
    database: definition.database as Database,
    token: (role = 'owner', workspace = 'demo') => issuer.issue({ role, workspace }),
    published: async () => {
      const found = new Map<string, EventEnvelope<Payload>[]>();
      await readTopic(await bus.open(), 'behaviour.events.v1', (messages) => {
        for (const { envelope } of messages as { envelope: EventEnvelope<Payload> }[]) {
          const id = String(envelope.payload['messageId']);
          found.set(id, [...(found.get(id) ?? []), envelope]);
        }
      });
      return found;
    },
    stop: async () => {
      await service.stop();
      await bus.close();
      await postgres.stop();
      await issuer.remove();
    },
  };
};
