import { baseEnvShape, databaseEnvShape, parseEnv } from '@pca/service-kit';
import { z } from 'zod';

/** The environment of this service, read once. */
export const readEnv = () =>
  parseEnv(
    {
      ...baseEnvShape,
      ...databaseEnvShape,
      IMPORT_BYTES_MAX: z.coerce
        .number()
        .int()
        .min(1)
        .default(2 * 1024 ** 3)
        .describe('Largest file of an import'),
      IMPORTS_AT_ONCE_MAX: z.coerce.number().int().min(1).default(2).describe('Imports that run side by side in this process'),
    },
    process.env,
  );

export type CampaignsEnv = ReturnType<typeof readEnv>;
