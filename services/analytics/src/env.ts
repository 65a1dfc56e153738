import { baseEnvShape, databaseEnvShape, parseEnv } from '@pca/service-kit';

/** The environment of this service, read once. */
export const readEnv = (source: NodeJS.ProcessEnv = process.env) => parseEnv({ ...baseEnvShape, ...databaseEnvShape }, source);

export type AnalyticsEnv = ReturnType<typeof readEnv>;
