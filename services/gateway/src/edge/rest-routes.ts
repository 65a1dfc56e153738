import type { GatewayEnv } from '../env.js';

/** A path that a service answers over REST; everything below it goes there too. */
export interface RestRoute {
  readonly prefix: string;
  readonly service: string;
  readonly bytesMax: number;
  /** Longest silence of either side. */
  readonly silenceMsMax: number;
  /** Longest time of the whole request; absent for what may stream as long as it moves. */
  readonly msMax?: number;
}

/** One line for each; a service that gets REST routes adds its own here. */
export const restRoutes = (env: GatewayEnv): readonly RestRoute[] => {
  const usual = { bytesMax: env.BODY_BYTES_MAX, silenceMsMax: env.REQUEST_MS_MAX, msMax: env.REQUEST_MS_MAX };
  return [
    { prefix: '/v1/analytics', service: 'analytics', ...usual },
    { prefix: '/v1/campaigns', service: 'campaigns', ...usual },
    { prefix: '/v1/imports', service: 'campaigns', bytesMax: env.IMPORT_BYTES_MAX, silenceMsMax: env.IMPORT_MS_MAX },
  ];
};
