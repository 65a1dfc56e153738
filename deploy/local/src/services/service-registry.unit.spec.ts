import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { serviceEnvironment } from './service-environment.js';
import { databasesOf, portOf, readServices } from './service-registry.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pca-registry-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const add = (name: string, project: object, built = true): void => {
  mkdirSync(join(folder, name, 'dist'), { recursive: true });
  writeFileSync(join(folder, name, 'project.json'), JSON.stringify(project));
  if (built) writeFileSync(join(folder, name, 'dist/main.js'), '');
};
const service = (pca: object): object => ({ metadata: { pca } });

it('finds services by their project.json, those for clients last, and their ports from the base', () => {
  add('a-edge', service({ port: 8000, edge: true }));
  add('late', service({ port: 8105, database: 'late', subgraph: true }));
  add('early', service({ port: 8101, database: 'early' }));
  add('page', { name: 'page' });
  mkdirSync(join(folder, 'no-project'));
  const specs = readServices(folder);
  expect(specs.map(({ name }) => name)).toEqual(['early', 'late', 'a-edge']);
  expect(specs.map((spec) => portOf(spec, { gatewayPort: 9_000, portBase: 9_100 }))).toEqual([9_101, 9_105, 9_000]);
  expect(databasesOf(specs)).toEqual(['early', 'late', 'bus']);
});

it.each<[string, () => void, RegExp]>([
  ['there is none', () => undefined, /^There is no service in /],
  ['one is not built', () => add('raw', service({ port: 8101 }), false), /^Service raw is not built /],
  ['one is described wrongly', () => add('odd', service({ port: 'x' })), /odd.project\.json: metadata\.pca\.port: /],
  ['a flag is none', () => add('odd', service({ port: 8101, nodeFlags: ['x.js'] })), /metadata\.pca\.nodeFlags\.0: /],
  ['a database name could not be one', () => add('odd', service({ port: 8101, database: 'a"b' })), /metadata\.pca\.database: /],
])('refuses a folder in which %s', (_name, make, message) => {
  make();
  expect(() => readServices(folder)).toThrow(message);
});

it('passes on what is listed or named by the service, under names that stars may shorten', () => {
  add('one', service({ port: 8101, env: ['ONE_*', 'OPENAI_API_KEY'] }));
  add('two', service({ port: 8102, subgraph: true, database: 'two' }));
  add('three', service({ port: 8103, bus: true }));
  add('edge', service({ port: 8000, edge: true }));
  const specs = readServices(folder);
  const given = {
    PATH: '/bin',
    LC_TIME: 'C',
    ONE_X: '1',
    OPENAI_API_KEY: 'k',
    QUERY_DEPTH_MAX: '5',
    PGPASSWORD: 'p',
    KAFKA_BROKERS: 'given:1',
    KAFKA_SASL_PASSWORD: 'hush',
    BUS: 'kafka',
    BUS_PARTITIONS: '3',
    UNSET: undefined,
  };
  const environments = specs.map((spec) =>
    serviceEnvironment(spec, specs, {
      gatewayPort: 8_000,
      portBase: 8_100,
      given,
      databaseUrl: (name) => `postgresql://u:p@h/${name}`,
      kafkaBrokers: 'own:2',
      auth: { jwksUrl: 'https://issuer.test/jwks', issuer: 'issuer', audience: 'audience' },
    }),
  );
  const always = {
    PATH: '/bin',
    LC_TIME: 'C',
    QUERY_DEPTH_MAX: '5',
    HOST: '127.0.0.1',
    APOLLO_TELEMETRY_DISABLED: 'true',
    AUTH_JWKS_URL: 'https://issuer.test/jwks',
    AUTH_ISSUER: 'issuer',
    AUTH_AUDIENCE: 'audience',
  };
  // The broker's password is for those alone that are on the bus.
  const onBus = {
    BUS: 'kafka',
    BUS_PARTITIONS: '3',
    BUS_URL: 'postgresql://u:p@h/bus',
    KAFKA_SASL_PASSWORD: 'hush',
    // What was started counts, not what was given.
    KAFKA_BROKERS: 'own:2',
  };
  expect(environments).toEqual([
    { ...always, SERVICE_NAME: 'one', PORT: '8101', ONE_X: '1', OPENAI_API_KEY: 'k' },
    { ...always, ...onBus, SERVICE_NAME: 'three', PORT: '8103' },
    { ...always, ...onBus, SERVICE_NAME: 'two', PORT: '8102', DATABASE_URL: 'postgresql://u:p@h/two' },
    { ...always, SERVICE_NAME: 'edge', PORT: '8000', SUBGRAPH_TWO_URL: 'http://127.0.0.1:8102' },
  ]);
});
