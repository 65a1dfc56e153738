import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busEnvShape, checkEnv, databaseEnvShape } from './env.js';
import { busConfigOf } from './messaging/bus-config.js';

let folder: string;
const file = (name: string): string => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pca-env-'));
  for (const name of ['ca', 'cert', 'key']) writeFileSync(file(name), `the ${name}`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const check = (source: Record<string, string>) => checkEnv(busEnvShape, source);
const faultsOf = (source: Record<string, string>): readonly string[] => {
  const checked = check(source);
  return 'faults' in checked ? checked.faults : [];
};
const configOf = (source: Record<string, string>) => {
  const checked = check(source);
  if ('faults' in checked) throw new Error(checked.faults.join('; '));
  return busConfigOf(checked.env, 'tester');
};
const kafka = { BUS: 'kafka', KAFKA_BROKERS: 'one:9092,two:9092' };
const sasl = { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', KAFKA_SASL_USERNAME: 'ann', KAFKA_SASL_PASSWORD: 'hush' };

// Broken by: settings that are checked one by one, a value of a setting in what is printed, a second fault that waits for the first.
it.each<[string, Record<string, string>, (string | RegExp)[]]>([
  ['nothing', {}, [/^BUS_URL: BUS=postgres, which is the default, needs/]],
  ['Kafka without brokers', { BUS: 'kafka' }, [/^KAFKA_BROKERS: BUS=kafka needs the brokers/]],
  ['Kafka with empty brokers', { BUS: 'kafka', KAFKA_BROKERS: '' }, [/^KAFKA_BROKERS: /]],
  ['brokers without ports', { ...kafka, KAFKA_BROKERS: 'one,two' }, [/^KAFKA_BROKERS: must be host:port/]],
  ['another bus', { BUS: 'pigeons', BUS_PARTITIONS: '0' }, [/^BUS: /, /^BUS_PARTITIONS: /, /^BUS_URL: /]],
  ['half a user', { ...kafka, KAFKA_SASL_USERNAME: 'ann' }, [/^KAFKA_SASL_MECHANISM: set .* or none/]],
  ['no such mechanism', { ...kafka, ...sasl, KAFKA_SASL_MECHANISM: 'hush' }, [/^KAFKA_SASL_MECHANISM: /]],
  ['a key without TLS', { ...kafka, KAFKA_SSL_KEY_FILE: 'no such file' }, [/_KEY_FILE: there is/, /_CERT_FILE: set/, /^KAFKA_SSL: cert/]],
  ['no yes or no', { ...kafka, KAFKA_SSL: 'maybe' }, [/^KAFKA_SSL: /]],
])('tells what is wrong with %s, each fault in a line', (_name, source, faults) => {
  const found = faultsOf(source);
  expect(found).toHaveLength(faults.length);
  for (const fault of faults) expect(found).toContainEqual(expect.stringMatching(fault));
  expect(found.join('\n')).not.toContain('hush');
});

it('asks a service for its database beside the bus', () => {
  expect(checkEnv(databaseEnvShape, kafka)).toEqual({ faults: [expect.stringMatching(/^DATABASE_URL: /)] });
});

// Broken by: a topic of a contract that is not made with the partitions asked for, a pattern of a topic that is.
it('opens the log of Postgres with the topics of the contracts', () => {
  const config = configOf({ BUS_URL: 'postgres://h/bus', BUS_PARTITIONS: '3' });
  expect(config).toMatchObject({ bus: 'postgres', url: 'postgres://h/bus', topics: { 'campaigns.events.v1': { partitions: 3 } } });
  expect(Object.keys(config.topics ?? {}).join()).not.toContain('{');
});

it('opens Kafka with what is given, and with nothing that is not', () => {
  expect(configOf(kafka)).toEqual({
    bus: 'kafka',
    brokers: 'one:9092,two:9092',
    clientId: 'tester',
    topics: expect.objectContaining({ 'campaigns.events.v1': { partitions: 8 } }),
  });
  const files = { KAFKA_SSL_CA_FILE: file('ca'), KAFKA_SSL_CERT_FILE: file('cert'), KAFKA_SSL_KEY_FILE: file('key') };
  expect(configOf({ ...kafka, ...sasl, ...files, KAFKA_SSL: 'true', KAFKA_REPLICATION_FACTOR: '3' })).toMatchObject({
    replicationFactor: 3,
    ssl: { ca: 'the ca', cert: 'the cert', key: 'the key' },
    sasl: { mechanism: 'scram-sha-512', username: 'ann', password: 'hush' },
  });
  expect(configOf({ ...kafka, KAFKA_SSL: 'true' })).toMatchObject({ ssl: {} });
});
