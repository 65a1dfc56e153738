import { baseEnvShape, databaseEnvShape, parseEnv } from '@pca/service-kit';
import { z } from 'zod';

const positive = z.coerce.number().int().min(1);

/** The environment of this service, read once. */
export const readEnv = (source: NodeJS.ProcessEnv = process.env) =>
  parseEnv(
    {
      ...baseEnvShape,
      ...databaseEnvShape,
      INGEST_EVENTS_PER_SECOND_MAX: positive
        .default(20_000)
        .describe(
          'Events of one ingest key, or KiB of its bodies if these are more, over five seconds and in each process; more is answered with 429',
        ),
      INGEST_EVENTS_IN_FLIGHT_MAX: positive
        .default(20_000)
        .describe('Events that this process holds until the bus has them; more is answered with 503'),
    },
    source,
  );

export type AnalyticsEnv = ReturnType<typeof readEnv>;
