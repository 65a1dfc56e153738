import { accessSync, constants } from 'node:fs';
import { z } from 'zod';

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

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

const postgresUrl = z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL');
const readable = z.string().refine(isReadable, 'there is no such file, or it cannot be read');

/** Settings of a program on the bus. What of them belongs together is checked by `parseEnv`. */
export const busEnvShape = {
  BUS: z.enum(['postgres', 'kafka']).default('postgres').describe('What events travel over'),
  BUS_URL: postgresUrl.optional().describe('The bus database, for BUS=postgres'),
  BUS_PARTITIONS: z.coerce.number().int().min(1).max(1_024).default(8).describe('Partitions of a topic that is not there yet'),
  KAFKA_BROKERS: z
    .string()
    .regex(/^[^\s,]+:\d+(,[^\s,]+:\d+)*$/, 'must be host:port, several with commas between')
    .optional()
    .describe('The brokers, for BUS=kafka'),
  KAFKA_REPLICATION_FACTOR: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe("Brokers that keep a copy of a topic that is not there yet; absent: the cluster's own default"),
  KAFKA_SSL: z
    .stringbool({ truthy: ['true'], falsy: ['false'] })
    .default(false)
    .describe('true: TLS to the brokers'),
  KAFKA_SSL_CA_FILE: readable.optional().describe('PEM of who signed the certificates of the brokers; absent: whom the system trusts'),
  KAFKA_SSL_CERT_FILE: readable.optional().describe('PEM of a client certificate'),
  KAFKA_SSL_KEY_FILE: readable.optional().describe('PEM of its key'),
  KAFKA_SASL_MECHANISM: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['plain', 'scram-sha-256', 'scram-sha-512']))
    .optional(),
  KAFKA_SASL_USERNAME: z.string().optional(),
  KAFKA_SASL_PASSWORD: z.string().optional(),
};

/** Settings of a service that owns a database and publishes events. */
export const databaseEnvShape = {
  ...busEnvShape,
  DATABASE_URL: postgresUrl.describe("The service's own database"),
  DATABASE_POOL_MAX: z.coerce.number().int().min(2).max(200).default(10),
  DATABASE_STATEMENT_MS_MAX: z.coerce.number().int().min(100).default(30_000).describe('Statement timeout of interactive queries'),
};

export type BaseEnv = z.infer<z.ZodObject<typeof baseEnvShape>>;
export type BusEnv = z.infer<z.ZodObject<typeof busEnvShape>>;

type Source = Readonly<Record<string, string | undefined>>;

/** What the settings of the bus lack beside each other, one line each. */
const busFaults = (env: Source): string[] => {
  const kafka = env['BUS'] === 'kafka';
  const given = (...names: string[]): number => names.filter((name) => env[name] !== undefined).length;
  const faults = {
    'KAFKA_BROKERS: BUS=kafka needs the brokers, as host:port with commas between': kafka && given('KAFKA_BROKERS') === 0,
    'BUS_URL: BUS=postgres, which is the default, needs the bus database': !kafka && given('BUS_URL') === 0,
    'KAFKA_SASL_MECHANISM: set KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or none of them': [1, 2].includes(
      given('KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'),
    ),
    'KAFKA_SSL_CERT_FILE: set KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE, or none of them':
      given('KAFKA_SSL_CERT_FILE', 'KAFKA_SSL_KEY_FILE') === 1,
    'KAFKA_SSL: certificates are there and KAFKA_SSL is not true':
      env['KAFKA_SSL'] !== 'true' && given('KAFKA_SSL_CA_FILE', 'KAFKA_SSL_CERT_FILE', 'KAFKA_SSL_KEY_FILE') > 0,
  };
  return Object.entries(faults).flatMap(([fault, isThere]) => (isThere ? [fault] : []));
};

/** Every fault of the environment as one line each; an empty list when it is fine. */
export const envFaults = (error: z.ZodError): string[] => error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);

/** The environment checked as a whole: the settings, or every fault as one line each. */
export const checkEnv = <S extends z.ZodRawShape>(
  shape: S,
  source: Source,
): { readonly env: z.infer<z.ZodObject<S>> } | { readonly faults: readonly string[] } => {
  const blankless = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
  const result = z.object(shape).safeParse(blankless);
  const faults = [...(result.success ? [] : envFaults(result.error)), ...('BUS' in shape ? busFaults(blankless) : [])];
  return result.success && faults.length === 0 ? { env: result.data } : { faults };
};

/** The checked environment of a process. Reports every fault, not just the first, then exits with code 78 (EX_CONFIG). */
export const parseEnv = <S extends z.ZodRawShape>(shape: S, source: NodeJS.ProcessEnv): z.infer<z.ZodObject<S>> => {
  const checked = checkEnv(shape, source);
  if ('env' in checked) return checked.env;
  for (const fault of checked.faults) process.stderr.write(`environment: ${fault}\n`);
  process.exit(78);
};
