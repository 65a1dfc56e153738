import { resolve } from 'node:path';
import { z } from 'zod';
import { OperatorError } from './operator-error.js';

const port = z.coerce.number().int().min(1).max(65_535);

const shape = {
  PCA_PORT: port.default(8000).describe('Port of the gateway'),
  PCA_PORT_BASE: port.max(65_000).default(8100).describe('Services listen on the ports after this one'),
  PCA_DATA_DIR: z.string().default('.pca').describe('Folder of everything that stays, relative to the repository'),
  PCA_LOG: z.enum(['pretty', 'json']).default('pretty').describe('How log lines are shown'),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL')
    .optional()
    .describe('A Postgres server instead of the embedded one'),
  BUS: z.enum(['postgres', 'kafka']).default('postgres').describe('What events travel over'),
  KAFKA_BROKERS: z
    .string()
    .regex(/^[^\s,]+:\d+(,[^\s,]+:\d+)*$/, 'must be host:port, several with commas between')
    .optional()
    .describe('Kafka brokers for BUS=kafka instead of one of our own'),
  AUTH_JWKS_URL: z.url().optional().describe('Key set of a token issuer instead of the local one'),
  AUTH_ISSUER: z.string().optional(),
  AUTH_AUDIENCE: z.string().optional(),
  NODE_ENV: z.enum(['development', 'test', 'production']).optional(),
  NO_COLOR: z.string().optional(),
};

export interface LocalEnv {
  readonly gatewayPort: number;
  readonly portBase: number;
  /** Absolute. */
  readonly dataDir: string;
  readonly logJson: boolean;
  readonly colour: boolean;
  readonly databaseUrl: string | undefined;
  readonly bus: 'postgres' | 'kafka';
  readonly kafkaBrokers: string | undefined;
  /** undefined: the local issuer. */
  readonly issuer: { readonly jwksUrl: string; readonly issuer: string; readonly audience: string } | undefined;
  /** The whole environment, of which services get what the list in service-environment.ts names. */
  readonly given: Readonly<Record<string, string | undefined>>;
}

const issuerOf = (env: z.infer<z.ZodObject<typeof shape>>): LocalEnv['issuer'] => {
  const { AUTH_JWKS_URL: jwksUrl, AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience, NODE_ENV: mode } = env;
  if (jwksUrl && issuer && audience) return { jwksUrl, issuer, audience };
  if (jwksUrl || issuer || audience)
    throw new OperatorError('AUTH_JWKS_URL, AUTH_ISSUER and AUTH_AUDIENCE belong together: set all three or none');
  if (mode === 'production')
    throw new OperatorError('With NODE_ENV=production the local issuer is refused: set AUTH_JWKS_URL, AUTH_ISSUER and AUTH_AUDIENCE');
  return undefined;
};

/** The checked environment of the supervisor. Throws OperatorError with every fault in one line. */
export const readEnv = (root: string, source: NodeJS.ProcessEnv = process.env): LocalEnv => {
  const filled = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
  const result = z.object(shape).safeParse(filled);
  if (!result.success) throw new OperatorError(result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
  const env = result.data;
  return {
    gatewayPort: env.PCA_PORT,
    portBase: env.PCA_PORT_BASE,
    dataDir: resolve(root, env.PCA_DATA_DIR),
    logJson: env.PCA_LOG === 'json',
    colour: process.stdout.isTTY === true && env.NO_COLOR === undefined,
    databaseUrl: env.DATABASE_URL,
    bus: env.BUS,
    kafkaBrokers: env.KAFKA_BROKERS,
    issuer: issuerOf(env),
    given: source,
  };
};
