import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requiresKafka } from '@pca/testing';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FixtureServices, fixtureServices } from './fixture-services.js';
import { type RunningSystem, runningSystem } from './running-system.js';

let fixtures: FixtureServices;
let folder: string;
const systems: RunningSystem[] = [];

const makeSystem = async (env: Record<string, string>): Promise<RunningSystem> => {
  const made = await runningSystem({ services: fixtures.folder, env });
  systems.push(made);
  return made;
};

beforeAll(() => {
  fixtures = fixtureServices();
  folder = mkdtempSync(join(tmpdir(), 'pca-kafka-e2e-'));
});
afterAll(async () => {
  for (const each of systems) await each.remove();
  fixtures.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A folder with one program, for the front of the search path. */
const withProgram = (name: string, text: string): Record<string, string> => {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return { PATH: `${bin}:${process.env['PATH']}`, JAVA_HOME: '' };
};

const environmentOf = async (system: RunningSystem, name: string): Promise<Record<string, string>> => {
  const url = system.run()?.services.find((service) => service.name === name)?.url;
  return (await (await fetch(`${url}/env`)).json()) as Record<string, string>;
};

const withAdmin = async <T>(brokers: string, work: (admin: Admin) => Promise<T>): Promise<T> => {
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 8 } }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
};

const brokerPids = (system: RunningSystem): number[] =>
  system.processes().flatMap(({ pid, command }) => (command.includes(' kafka.Kafka ') && !command.includes('keeper') ? [pid] : []));

describe.skipIf(!(await requiresKafka()))('with BUS=kafka', () => {
  let system: RunningSystem;
  let brokers: string;
  beforeAll(async () => {
    system = await makeSystem({ BUS: 'kafka', KAFKA_CLIENT_ID: 'mine', KAFKA_BROKERS: '' });
    await system.start();
    brokers = `127.0.0.1:${system.run()?.kafka?.port}`;
  });

  // Broken by: a broker that services are not told of, or that nobody is shown, or that those are told of who are not on the bus.
  it('a broker of our own is started, shown, and handed to the services', async () => {
    expect(system.run()?.kafka).toEqual({ embedded: true, state: 'ready', port: expect.any(Number) as number });
    await expect.poll(() => system.output()).toMatch(/kafka +127\.0\.0\.1:\d+ +ready\n +postgres +127/);
    expect(await environmentOf(system, 'alpha')).toMatchObject({ BUS: 'kafka', KAFKA_BROKERS: brokers, KAFKA_CLIENT_ID: 'mine' });
    expect(Object.keys(await environmentOf(system, 'edge')).filter((name) => /^(BUS|KAFKA)/.test(name))).toEqual([]);
    expect(readFileSync(join(system.dataDir, 'logs/kafka.log'), 'utf8')).toContain('Kafka Server started');
    await withAdmin(brokers, (admin) => admin.createTopics({ topics: [{ topic: 'kept' }], waitForLeaders: true }));
  });

  // Broken by: a broker that stays dead, comes back elsewhere, or comes back empty.
  it('it is started again when it dies, where it was and with what it had', async () => {
    const [pid = 0] = brokerPids(system);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => system.output()).toContain('kafka is ready again');
    expect(system.output()).toMatch(/kafka ended \(killed by SIGKILL\); starting it again in 0\.\d s \(attempt 1\)/);
    expect(system.run()?.kafka).toEqual({ embedded: true, state: 'ready', port: Number(brokers.split(':')[1]) });
    expect(await withAdmin(brokers, (admin) => admin.listTopics())).toContain('kept');
  });

  // Broken by: a broker that ends before those who still publish, or one that stays.
  it('it ends after the services', async () => {
    expect(await system.stop()).toBe(0);
    const said = system.output().match(/stopping (alpha|kafka|postgres)/g);
    expect(said).toEqual(['stopping alpha', 'stopping kafka', 'stopping postgres']);
    expect(system.processes()).toEqual([]);
  });

  // Broken by: a broker that outlives a supervisor that is killed, or one that a next start cannot take over from.
  it('it ends with a supervisor that is killed, and a start right after has the data', async () => {
    await system.start();
    await system.killSupervisor();
    await system.start();
    expect(await withAdmin(`127.0.0.1:${system.run()?.kafka?.port}`, (admin) => admin.listTopics())).toContain('kept');
    await system.killSupervisor();
    await expect.poll(() => system.processes()).toEqual([]);
  });

  // Broken by: a reset that forgets the broker's data.
  it('its data is deleted by reset', async () => {
    expect(await system.command('reset', '--yes')).toMatchObject({ code: 0 });
    expect(existsSync(join(system.dataDir, 'kafka'))).toBe(false);
  });

  // Broken by: a Ctrl-C that waits for Maven, or a Maven that stays.
  it('a start may be given up while Kafka is fetched', async () => {
    const cache = join(folder, 'cache');
    mkdirSync(cache);
    const fetching = await makeSystem({ BUS: 'kafka', XDG_CACHE_HOME: cache, ...withProgram('mvn', 'exec sleep 600') });
    const starting = fetching.start().catch(() => 'not started');
    await expect.poll(() => fetching.output()).toContain('fetching Kafka');
    expect(await fetching.stop()).toBe(0);
    expect(await starting).toBe('not started');
    expect(fetching.processes()).toEqual([]);
  });
});

// Broken by: starting a broker beside the one that is named.
it('with KAFKA_BROKERS nothing is started, and the services get what was named', async () => {
  const given = await makeSystem({ BUS: 'kafka', KAFKA_BROKERS: 'one.test:9092,two.test:9092', KAFKA_SSL: 'true' });
  await given.start();
  expect(given.run()?.kafka).toEqual({ embedded: false, state: 'given' });
  await expect.poll(() => given.output()).toMatch(/kafka +KAFKA_BROKERS +given\n/);
  expect(await environmentOf(given, 'alpha')).toMatchObject({ KAFKA_BROKERS: 'one.test:9092,two.test:9092', KAFKA_SSL: 'true' });
  expect(existsSync(join(given.dataDir, 'kafka'))).toBe(false);
  expect(await given.stop()).toBe(0);
});

describe('a start that cannot be', () => {
  // Broken by: an unknown bus that counts as the usual one, or a stack trace where a person needs a sentence.
  it.each<[string, () => Record<string, string>, RegExp]>([
    ['with an unknown bus', () => ({ BUS: 'rabbit' }), /^BUS: .*postgres.*kafka.*\n$/],
    [
      'with brokers that are none',
      () => ({ BUS: 'kafka', KAFKA_BROKERS: 'broker one' }),
      /^KAFKA_BROKERS: must be host:port, several with commas between\n$/,
    ],
    [
      'without Java',
      () => ({ BUS: 'kafka', KAFKA_BROKERS: '', ...withProgram('java', 'exit 1') }),
      /^Kafka needs Java, and there is none: install a Java runtime 17 or newer and Maven, or set KAFKA_BROKERS to a Kafka broker\n$/,
    ],
    [
      'with an old Java',
      () => ({ BUS: 'kafka', KAFKA_BROKERS: '', ...withProgram('java', `echo 'openjdk version "11.0.2"' >&2`) }),
      /^Kafka needs Java 17, this is Java 11: install .+\n$/,
    ],
  ])('%s says why in one line', async (_name, env, line) => {
    const system = await makeSystem(env());
    const { code, stderr } = await system.command('start', '--services', fixtures.folder);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(line) as string });
    expect(system.processes()).toEqual([]);
  });
});
