import { testPostgres } from '@pca/testing';
import { PostgresEventBus } from '../src/index.js';
import { eventPublisherContract } from './event-publisher.contract.js';
import { readAll } from './read-all.js';

eventPublisherContract('Postgres', async () => {
  const postgres = await testPostgres();
  const { url } = await postgres.createDatabase();
  const reader = await PostgresEventBus.connect({ url });
  return {
    connect: () => PostgresEventBus.connect({ url }),
    readAll: (topic) => readAll(reader, topic),
    close: async () => {
      await reader.close();
      await postgres.stop();
    },
  };
});
