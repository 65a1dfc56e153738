import { createLogger, type ServiceDefinition } from '@pca/service-kit';
import { GatewayModule, gatewayParts } from './app.module.js';
import type { GatewayEnv } from './env.js';

/** The gateway as service-kit boots it; tests boot it the same way. */
export const gatewayDefinition = (env: GatewayEnv, urls: ReadonlyMap<string, URL>): ServiceDefinition => {
  const logger = createLogger({ name: 'gateway', level: env.LOG_LEVEL });
  const parts = gatewayParts(env, urls, logger);
  return {
    name: 'gateway',
    env,
    logger,
    module: GatewayModule.of(env, parts),
    bodyBytesMax: env.BODY_BYTES_MAX,
    prepare: async () => {
      await parts.graph.start();
    },
  };
};
