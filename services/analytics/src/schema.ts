import { createService, subgraphSdl } from '@pca/service-kit';
import { readEnv } from './env.js';
import { analyticsService } from './service.js';

/** The subgraph's SDL, without a database or a port: nothing here is ever connected to. */
export const schema = async (): Promise<string> => {
  const nowhere = 'postgres://nobody@127.0.0.1:1/none';
  const { app } = await createService(
    analyticsService(readEnv({ PORT: '1', LOG_LEVEL: 'silent', DATABASE_URL: nowhere, BUS_URL: nowhere })),
  );
  await app.init();
  const sdl = await subgraphSdl(app);
  await app.close();
  return sdl;
};
