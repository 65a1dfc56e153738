import type { TrackedEvent } from '@pca/contracts';
import type { GraphqlAnswer } from '@pca/testing';
import { type IngestUnderTest, startIngest } from './ingest-under-test.js';
import { type Stores, storesOn, tracked } from './timelines-under-test.js';

export interface QuestionsUnderTest extends Pick<IngestUnderTest, 'service' | 'database' | 'definition' | 'token'> {
  readonly stores: Stores;
  /** Stores events as the consumer would. */
  store(events: readonly Partial<TrackedEvent>[], workspace?: string, receivedAt?: (event: Partial<TrackedEvent>) => Date): Promise<void>;
  /** These anonymous ids turn out to be this user. */
  merge(userId: string, anonymousIds: readonly string[], workspace?: string): Promise<void>;
  /** A question with a viewer's token; fails on errors. */
  ask<T>(query: string, variables?: object, workspace?: string): Promise<T>;
  /** The first error of a question. */
  refusal(query: string, variables?: object): Promise<GraphqlAnswer<unknown>['errors'][number] | undefined>;
  stop(): Promise<void>;
}

/** The analytics service in this process, whose timelines a test fills by the store that the consumer writes with. */
export const startQuestions = async (settings: Record<string, string> = {}): Promise<QuestionsUnderTest> => {
  const { service, database, definition, token, stop } = await startIngest(settings);
  const stores = storesOn(database);
  return {
    ...{ service, database, definition, token, stores, stop },
    store: async (events, workspace = 'demo', receivedAt = () => new Date()) => {
      await stores.append(events.map((event) => tracked(event, workspace, receivedAt(event))));
    },
    merge: async (userId, anonymousIds, workspace = 'demo') => {
      await database.pool.query(
        `update person p set canonical = u.canonical from person u, workspace w
         where w.id = $3 and u.workspace = w.number and u.external_id = $1 and u.is_known
           and p.workspace = w.number and p.external_id = any ($2) and not p.is_known`,
        [userId, anonymousIds, workspace],
      );
    },
    ask: async <T>(query: string, variables?: object, workspace = 'demo') => {
      const { data, errors } = await service.graphql<T>(await token('viewer', workspace), query, variables);
      if (!data || errors.length > 0) throw new Error(`${query}: ${JSON.stringify(errors)}`);
      return data;
    },
    refusal: async (query, variables) => (await service.graphql(await token('viewer'), query, variables)).errors[0],
  };
};
