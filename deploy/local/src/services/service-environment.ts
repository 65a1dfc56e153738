import { busDatabase, isOnBus, portOf, type ServiceSpec } from './service-registry.js';

/**
 * What every service may see of the supervisor's own environment. Secrets of others are not among it: a service that needs one names it in
 * its project.json.
 */
const passedOn = [
  'PATH',
  'HOME',
  'USER',
  'TMPDIR',
  'TZ',
  'LANG',
  'LC_*',
  'NODE_OPTIONS',
  'NODE_COMPILE_CACHE',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'NODE_ENV',
  'LOG_LEVEL',
  'REDIS_URL',
  'OTEL_*',
  'PCA_DEMO',
  'PCA_SAMPLE_DATA',
  '*_MAX',
];

/**
 * What only those on the bus may see besides, for the broker's password is among it, and in BUS_URL that of the database server. A service
 * without a database gets it when its project.json says `bus`: the gateway does, to publish its own usage. It is what strangers talk to, so
 * that a hole in it opens this bus as well. On one machine all run as one user, who can read those passwords in the data folder anyway; where
 * services are kept apart, the gateway is given an account that may append to the behaviour topic alone, or no bus.
 */
const passedOnToThoseOnTheBus = ['BUS', 'BUS_PARTITIONS', 'KAFKA_*'];

export interface InstanceSettings {
  readonly gatewayPort: number;
  readonly portBase: number;
  readonly given: Readonly<Record<string, string | undefined>>;
  readonly databaseUrl: (database: string) => string;
  /** Absent: as given. */
  readonly kafkaBrokers?: string;
  /** How services check tokens. */
  readonly auth: { readonly jwksUrl: string; readonly issuer: string; readonly audience: string } | LocalAuth;
}

export interface LocalAuth {
  readonly jwksFile: string;
  readonly issuer: string;
  readonly audience: string;
  readonly tokenFile: string;
  /** What the gateway hashes persons with in what it tells of its usage: the same after a restart. */
  readonly usageSalt: string;
}

const matches = (name: string, pattern: string): boolean => {
  if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1));
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
};

const subgraphVariable = (name: string): string => `SUBGRAPH_${name.toUpperCase().replaceAll('-', '_')}_URL`;

const edgeVariables = (all: readonly ServiceSpec[], settings: InstanceSettings): Record<string, string> => ({
  ...Object.fromEntries(
    all.filter(({ subgraph }) => subgraph).map((spec) => [subgraphVariable(spec.name), `http://127.0.0.1:${portOf(spec, settings)}`]),
  ),
  ...('tokenFile' in settings.auth ? { LOCAL_TOKEN_FILE: settings.auth.tokenFile, USAGE_SALT: settings.auth.usageSalt } : {}),
});

const authVariables = ({ auth }: InstanceSettings): Record<string, string> => ({
  ...('jwksUrl' in auth ? { AUTH_JWKS_URL: auth.jwksUrl } : { AUTH_JWKS_FILE: auth.jwksFile }),
  AUTH_ISSUER: auth.issuer,
  AUTH_AUDIENCE: auth.audience,
});

const busVariables = ({ databaseUrl, kafkaBrokers }: InstanceSettings): Record<string, string> => ({
  BUS_URL: databaseUrl(busDatabase),
  ...(kafkaBrokers === undefined ? {} : { KAFKA_BROKERS: kafkaBrokers }),
});

/** The whole environment of one service among all of them. */
export const serviceEnvironment = (spec: ServiceSpec, all: readonly ServiceSpec[], settings: InstanceSettings): Record<string, string> => {
  const patterns = [...passedOn, ...(isOnBus(spec) ? passedOnToThoseOnTheBus : []), ...spec.env];
  const passed = Object.entries(settings.given).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && patterns.some((pattern) => matches(entry[0], pattern)),
  );
  return {
    ...Object.fromEntries(passed),
    SERVICE_NAME: spec.name,
    HOST: '127.0.0.1',
    PORT: String(portOf(spec, settings)),
    APOLLO_TELEMETRY_DISABLED: 'true',
    ...authVariables(settings),
    ...(spec.database === undefined ? {} : { DATABASE_URL: settings.databaseUrl(spec.database) }),
    ...(isOnBus(spec) ? busVariables(settings) : {}),
    ...(spec.edge ? edgeVariables(all, settings) : {}),
  };
};
