import type { EventEnvelope, Role } from '@pca/contracts';
import { readTopic } from '@pca/event-bus';
import type { Database, ServiceBus, ServiceDefinition } from '@pca/service-kit';
import { type RunningService, startTestService, testIssuer, testPostgres } from '@pca/testing';
import { type AnalyticsEnv, readEnv } from '../src/env.js';
import { analyticsService } from '../src/service.js';

type Payload = Record<string, unknown>;
interface Made {
  readonly key: string;
  readonly ingestKey: { readonly id: string };
}

export interface IngestUnderTest {
  readonly service: RunningService;
  readonly database: Database;
  readonly definition: ServiceDefinition;
  /** A token of the role in a workspace; `demo` unless said otherwise. */
  token(role?: Role, workspace?: string): Promise<string>;
  /** A new ingest key of a workspace, made through the graph. */
  ingestKey(workspace?: string): Promise<{ key: string; id: string }>;
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
  const token = (role: Role = 'owner', workspace = 'demo'): Promise<string> => issuer.issue({ role, workspace });
  return {
    service,
    database: definition.database as Database,
    definition,
    token,
    ingestKey: async (workspace) => {
      const text = 'mutation { createIngestKey(input: {name: "site"}) { key ingestKey { id } } }';
      const { data } = await service.graphql<{ createIngestKey: Made }>(await token('owner', workspace), text);
      if (!data) throw new Error('No ingest key was made');
      return { key: data.createIngestKey.key, id: data.createIngestKey.ingestKey.id };
    },
    published: async () => {
      const found = new Map<string, EventEnvelope<Payload>[]>();
      await readTopic(await bus.open(), 'behaviour.events.v1', (messages) => {
        for (const message of messages) {
          const envelope = message.envelope as EventEnvelope<Payload>;
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
