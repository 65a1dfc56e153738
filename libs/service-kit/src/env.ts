import { z } from 'zod';

const port = z.coerce.number().int().min(1).max(65_535);

/** Settings that every service understands; a service adds its own in its env.ts. */
export const baseEnvShape = {
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  HOST: z.string().default('127.0.0.1').describe('Address to listen on'),
  PORT: port.describe('Port to listen on'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  AUTH_JWKS_URL: z.url().optional().describe('Key set of the token issuer'),
  AUTH_JWKS_FILE: z.string().optional().describe('Key set of the local issuer, instead of AUTH_JWKS_URL; refused in production'),
  AUTH_ISSUER: z.string().default('pca-local').describe('Expected iss claim'),
  AUTH_AUDIENCE: z.string().default('pca-agent').describe('Expected aud claim'),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional().describe('Where traces go, OTLP over HTTP; absent: no traces leave'),
  SHUTDOWN_SECONDS_MAX: z.coerce.number().positive().max(300).default(9).describe('How long a shutdown may drain'),
};

/** Settings of a service that owns a database and publishes events. */
export const databaseEnvShape = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL')
    .describe("The service's own database"),
  BUS_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL')
    .describe('The bus database'),
  DATABASE_POOL_MAX: z.coerce.number().int().min(2).max(200).default(10),
  DATABASE_STATEMENT_MS_MAX: z.coerce.number().int().min(100).default(30_000).describe('Statement timeout of interactive queries'),
};

export type BaseEnv = z.infer<z.ZodObject<typeof baseEnvShape>>;

/** Every fault of the environment as one line each; an empty list when it is fine. */
export const envFaults = (error: z.ZodError): string[] => error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);

/** The checked environment of a process. Reports every fault, not just the first, then exits with code 78 (EX_CONFIG). */
export const parseEnv = <S extends z.ZodRawShape>(shape: S, source: NodeJS.ProcessEnv): z.infer<z.ZodObject<S>> => {
  const blankless = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
  const result = z.object(shape).safeParse(blankless);
  if (result.success) return result.data;
  for (const fault of envFaults(result.error)) process.stderr.write(`environment: ${fault}\n`);
  process.exit(78);
};
