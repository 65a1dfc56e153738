import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { baseEnvShape, type BusEnv, busEnvShape, parseEnv } from '@pca/service-kit';
import { workspaceIdSchema } from '@pca/contracts';
import { z } from 'zod';

const packageRoot = resolve(import.meta.dirname, '..');
const count = z.coerce.number().int().positive();
const flag = z.stringbool().optional();

/** No names and no number of hops: what is believed of the client's address must be written out. */
const isProxy = (text: string): boolean => {
  const [address = '', bits, ...more] = text.split('/');
  const bitsMax = isIP(address) === 4 ? 32 : 128;
  return isIP(address) > 0 && more.length === 0 && (bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= bitsMax));
};
const proxies = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((one) => one.trim())
      .filter(Boolean),
  )
  .pipe(z.array(z.string().refine(isProxy, 'must be addresses or CIDRs, with commas between')));

const shape = {
  ...baseEnvShape,
  SUPERGRAPH_FILE: z
    .string()
    .default(resolve(packageRoot, 'supergraph.graphql'))
    .describe('Composed schema; loaded again when the file changes'),
  OPENAPI_FILE: z.string().default(resolve(packageRoot, '../../docs/openapi.json')).describe('Served as /openapi.json'),
  LOCAL_TOKEN_FILE: z.string().optional().describe('File with the token that GraphiQL starts with; local issuer only'),
  REDIS_URL: z.url().optional().describe('Shares the rate limit between gateways; absent: each counts by itself'),
  ALLOWED_HOSTS: z
    .string()
    .default('')
    .describe('Names besides the loopback ones that the Host header may hold with the local issuer, comma-separated'),
  TRUST_PROXY: proxies.describe('Addresses and CIDRs of the proxies whose X-Forwarded-For is believed, comma-separated; default: nobody'),
  INTROSPECTION: flag.describe('Off in production unless set'),
  GRAPHIQL: flag.describe('Off in production unless set'),
  SUBGRAPH_MS_MAX: count.default(10_000).describe('Longest wait for one answer of a service, its retry included'),
  SUBGRAPH_BYTES_MAX: count.default(33_554_432).describe('Largest answer of a service to the gateway'),
  SUBGRAPH_CONNECTIONS_MAX: count.default(64).describe('Connections to each service'),
  SUBGRAPH_WAITING_MAX: count.default(1_000).describe('Requests that may be under way to each service; more are refused'),
  REQUEST_MS_MAX: count.default(30_000).describe('Longest time of one request, REST routes with a limit of their own excepted'),
  BODY_BYTES_MAX: count.default(1_048_576).describe('Largest body'),
  INGEST_BYTES_MAX: count.default(524_288).describe('Largest body of the routes that take behaviour events'),
  INGEST_HELD_BYTES_MAX: count
    .default(67_108_864)
    .describe('Bodies of behaviour events held at once, those that have yet to arrive included; a quarter for one address'),
  IMPORT_BYTES_MAX: count.default(2_147_483_648).describe('Largest body of /v1/imports, which is streamed'),
  IMPORT_MS_MAX: count.default(600_000).describe('Longest silence while an import is under way'),
  QUERY_DEPTH_MAX: count.default(12),
  QUERY_COST_MAX: count.default(50_000).describe('Objects that a query may ask for, see README'),
  QUERY_ALIASES_MAX: count.default(100),
  QUERY_DIRECTIVES_MAX: count.default(100),
  QUERY_SELECTIONS_MAX: count.default(1_000).describe('Fields and fragments, after fragments are expanded'),
  QUERY_ROOT_FIELDS_MAX: count.default(50),
  QUERY_TOKENS_MAX: count.default(10_000).describe('Tokens of the document'),
  LIST_ITEMS_MAX: count.default(5_000).describe('Items of one list among the variables or literals'),
  RATE_REQUESTS_MAX: count.default(6_000).describe('Requests of one token in a window'),
  RATE_REFUSED_MAX: count
    .default(300)
    .describe('Requests without a valid token of one address in a window; as many with one refused ingest key, ten times as many with any'),
  RATE_WINDOW_SECONDS: count.default(60),
  USAGE: z.stringbool().default(true).describe("Whether this gateway's own usage is published, if the environment names a bus"),
  USAGE_WORKSPACE: workspaceIdSchema.default('pca-gateway').describe('The workspace that its usage goes to'),
  USAGE_SALT: z.string().min(16).optional().describe('Secret that persons are hashed with; absent: another one in each process'),
};

export type GatewayEnv = z.infer<z.ZodObject<typeof shape>>;

// Apollo's gateway would start an exporter that calls out; it looks here when it is made.
process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';

export const readEnv = (source: NodeJS.ProcessEnv = process.env): GatewayEnv => parseEnv(shape, source);

/** `SUBGRAPH_CAMPAIGNS_URL` is the base URL of the service that the supergraph calls `campaigns`. */
export const subgraphVariableOf = (name: string): string => `SUBGRAPH_${name.toUpperCase().replaceAll('-', '_')}_URL`;

/** Base URLs by the name of their variable. Reports those that are none as every other fault of the environment. */
export const readSubgraphUrls = (source: NodeJS.ProcessEnv = process.env): ReadonlyMap<string, URL> => {
  const names = Object.keys(source).filter((name) => /^SUBGRAPH_[A-Z0-9_]+_URL$/.test(name));
  const urls = parseEnv(Object.fromEntries(names.map((name) => [name, z.url({ protocol: /^https?$/ }).optional()])), source);
  return new Map(Object.entries(urls).flatMap(([name, url]) => (url === undefined ? [] : [[name, new URL(url)]])));
};

/** The bus that usage is published on; undefined where the environment says nothing of a bus. */
export const readBus = (source: NodeJS.ProcessEnv = process.env): BusEnv | undefined =>
  source['BUS'] || source['BUS_URL'] || source['KAFKA_BROKERS'] ? parseEnv(busEnvShape, source) : undefined;

export const introspectionOn = (env: GatewayEnv): boolean => env.INTROSPECTION ?? env.NODE_ENV !== 'production';
export const graphiqlOn = (env: GatewayEnv): boolean => env.GRAPHIQL ?? env.NODE_ENV !== 'production';
/** With the local issuer the gateway serves one machine: the Host header is checked and GraphiQL gets a token. */
export const localMode = (env: GatewayEnv): boolean => env.AUTH_JWKS_URL === undefined;
