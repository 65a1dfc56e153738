import { createService, subgraphSdl } from '@pca/service-kit';
import type { CampaignsEnv } from './env.js';
import { campaignsService } from './service.js';

/** The subgraph's SDL, without a database or a port: nothing here is ever connected to. */
export const schema = async (): Promise<string> => {
  const nowhere = 'postgres://nobody@127.0.0.1:1/none';
  const env: CampaignsEnv = {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: 1,
    LOG_LEVEL: 'silent',
    AUTH_ISSUER: 'none',
    AUTH_AUDIENCE: 'none',
    SHUTDOWN_SECONDS_MAX: 1,
    DATABASE_URL: nowhere,
    BUS: 'postgres',
    BUS_URL: nowhere,
    BUS_PARTITIONS: 1,
    KAFKA_SSL: false,
    DATABASE_POOL_MAX: 2,
    DATABASE_STATEMENT_MS_MAX: 1000,
    IMPORT_BYTES_MAX: 1,
    IMPORTS_AT_ONCE_MAX: 1,
  };
  const { app } = await createService(campaignsService(env));
  await app.init();
  const sdl = await subgraphSdl(app);
  await app.close();
  return sdl;
};
