import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPrivatePostgres } from '@pca/testing';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FixtureServices, fixtureServices } from './fixture-services.js';
import { type RunningSystem, runningSystem } from './running-system.js';

const root = join(import.meta.dirname, '../../..');
const main = join(root, 'deploy/local/dist/main.js');

let fixtures: FixtureServices;
let system: RunningSystem;
const systems: RunningSystem[] = [];

const makeSystem = async (env: Record<string, string> = {}): Promise<RunningSystem> => {
  const made = await runningSystem({ services: fixtures.folder, env });
  systems.push(made);
  return made;
};

beforeAll(async () => {
  fixtures = fixtureServices();
  system = await makeSystem({ SOME_SECRET: 'hidden', ALPHA_KEY: 'for alpha' });
});
afterAll(async () => {
  for (const each of systems) await each.remove();
  fixtures.remove();
});

const until = async (what: string, condition: () => boolean, withinMs = 90_000): Promise<void> => {
  for (const deadline = Date.now() + withinMs; !condition(); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`${what} did not happen:\n${system.output()}`);
  }
};

const serviceOf = (name: string) => system.run()?.services.find((service) => service.name === name);
const environmentOf = async (name: string): Promise<Record<string, string>> =>
  (await (await fetch(`${serviceOf(name)?.url}/env`)).json()) as Record<string, string>;

const query = async (sql: string): Promise<unknown[]> => {
  const client = new pg.Client({ connectionString: (await environmentOf('alpha'))['DATABASE_URL'] });
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(sql);
    return Array.isArray(result) ? [] : result.rows;
  } finally {
    await client.end();
  }
};

/** The lines of an output in which one of the words stands, in their order. */
const order = (output: string, ...words: string[]): string[] =>
  output.split('\n').flatMap((line) => words.filter((word) => line.includes(word)));

describe('a running system', () => {
  beforeAll(async () => {
    await system.start();
    await query('create table kept (a int); insert into kept values (42)');
  });

  it('shows a table, and a token that is also in a file for its owner alone', async () => {
    const token = readFileSync(join(system.dataDir, 'auth/token'), 'utf8').trim();
    await until('the table', () => system.output().includes(token));
    expect(system.output()).toMatch(/PCA Agent is ready after [\d.]+ s/);
    expect(system.output()).toMatch(/edge +http:\S+ +ready\n +alpha +http:\S+ +ready\n +postgres +127\.0\.0\.1:\d+ +ready/);
    expect(statSync(join(system.dataDir, 'auth/token')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({ workspace: 'demo' });
  });

  it('gives each service its own settings and none of the secrets of others', async () => {
    const [alpha, edge] = [await environmentOf('alpha'), await environmentOf('edge')];
    expect(new URL(alpha['DATABASE_URL'] ?? '').pathname).toBe('/alpha');
    expect(new URL(alpha['BUS_URL'] ?? '').pathname).toBe('/bus');
    expect(alpha).toMatchObject({ SERVICE_NAME: 'alpha', HOST: '127.0.0.1', ALPHA_KEY: 'for alpha', APOLLO_TELEMETRY_DISABLED: 'true' });
    expect(alpha['AUTH_JWKS_FILE']).toBe(join(system.dataDir, 'auth/jwks.json'));
    expect(edge).toMatchObject({ SUBGRAPH_ALPHA_URL: serviceOf('alpha')?.url, LOCAL_TOKEN_FILE: join(system.dataDir, 'auth/token') });
    expect(edge['USAGE_SALT'], 'a secret of this data folder').toMatch(/^[0-9a-f]{64}$/);
    expect(alpha).not.toHaveProperty('USAGE_SALT');
    for (const name of ['DATABASE_URL', 'BUS_URL', 'ALPHA_KEY', 'SOME_SECRET']) expect(edge).not.toHaveProperty(name);
    expect(alpha).not.toHaveProperty('SOME_SECRET');
  });

  it('starts a service again that dies, ends what it had started, and says so', async () => {
    const before = serviceOf('alpha')?.process?.pid ?? 0;
    const sleepers = () => system.processes().filter(({ command }) => command.startsWith('sleep 600')).length;
    expect(sleepers()).toBe(2);
    process.kill(before, 'SIGKILL');
    await until('the restart', () => serviceOf('alpha')?.state === 'ready' && serviceOf('alpha')?.process?.pid !== before);
    expect(system.output()).toMatch(/alpha ended \(killed by SIGKILL\); starting it again in 0\.\d s \(attempt 1\)/);
    expect(serviceOf('alpha')?.restarts).toBe(1);
    expect(sleepers()).toBe(2);
  });

  it('starts Postgres again on its port, with all that was committed', async () => {
    const port = system.run()?.postgres.port;
    const postmaster = Number(readFileSync(join(system.dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
    process.kill(postmaster, 'SIGKILL');
    await until('the restart', () => system.output().includes('postgres is ready again'));
    expect(system.run()?.postgres).toEqual({ embedded: true, state: 'ready', port });
    expect(await query('select a from kept')).toEqual([{ a: 42 }]);
  });

  it('has its data folder and its ports for itself, and others beside it', async () => {
    const same = await system.command('start', '--services', fixtures.folder);
    expect(same).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^The data folder \S+ is in use by process \d+, http:\S+: .+\n$/) as string,
    });
    const ports = { PCA_PORT: system.env['PCA_PORT'] ?? '', PCA_PORT_BASE: system.env['PCA_PORT_BASE'] ?? '' };
    const other = await (await makeSystem(ports)).command('start', '--services', fixtures.folder);
    expect(other).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^Ports \d+ \(alpha\), \d+ \(edge\) already in use .+\n$/) as string,
    });
    const beside = await makeSystem();
    await beside.start();
    expect(await beside.stop()).toBe(0);
  });

  it('cannot be reset', async () => {
    expect(await system.command('reset', '--yes')).toMatchObject({ code: 1, stderr: expect.stringContaining('in use') as string });
    expect(await query('select a from kept')).toEqual([{ a: 42 }]);
  });
});

describe('the end', () => {
  beforeEach(async () => {
    if (!system.run()) await system.start();
    await query('create table if not exists kept (a int); truncate kept; insert into kept values (42)');
  });
  afterAll(() => system.stop());

  it('by SIGTERM drains the services, edge first, and then Postgres; nothing is left but the data', async () => {
    expect(await system.stop()).toBe(0);
    expect(order(system.output(), 'stopping edge', 'stopping alpha', 'stopping postgres')).toEqual([
      'stopping edge',
      'stopping alpha',
      'stopping postgres',
    ]);
    expect(system.processes()).toEqual([]);
    expect(existsSync(join(system.dataDir, 'run.json'))).toBe(false);
  });

  it('by kill -9 of the supervisor leaves no process behind, and the next start finds the data', async () => {
    expect(system.processes().length).toBeGreaterThan(5);
    await system.killSupervisor();
    await until('the end of all processes', () => system.processes().length === 0);
    await system.start();
    expect(await query('select a from kept')).toEqual([{ a: 42 }]);
  });

  it('by kill -9 and a start right after waits for what is still ending', async () => {
    await system.killSupervisor();
    await system.start();
    expect(await query('select a from kept')).toEqual([{ a: 42 }]);
    expect(await system.stop()).toBe(0);
  });

  it('of a service that does not drain is forced and said, and at once on a second wish', async () => {
    const deaf = await makeSystem({ DEAF: 'alpha' });
    await deaf.start();
    expect(await deaf.stop()).toBe(0);
    expect(deaf.output()).toContain('alpha did not end in time and is killed');
    await deaf.start();
    const first = deaf.signal('SIGINT');
    while (!deaf.output().includes('stopping alpha')) await sleep(20);
    await deaf.signal('SIGINT');
    expect(await first).toBe(130);
    await expect.poll(() => deaf.processes()).toEqual([]);
  });
});

describe('a start that cannot be', () => {
  const refused = async (env: Record<string, string>): Promise<string> => {
    const child = spawn(process.execPath, [main, 'start', '--services', fixtures.folder], {
      env: { ...system.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let error = '';
    child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()));
    expect(await once(child, 'close')).toEqual([1, null]);
    return error;
  };
  const file = (): string => {
    const path = join(system.dataDir, 'a-file');
    writeFileSync(path, '');
    return path;
  };

  it.each<[string, () => Record<string, string>, RegExp]>([
    [
      'below a file',
      () => ({ PCA_DATA_DIR: join(file(), 'x') }),
      /^Cannot write to the data folder \S+ \(part of the path is a file\): .+\n$/,
    ],
    [
      'on a file system that takes no files',
      () => ({ PCA_DATA_DIR: '/proc/pca' }),
      /^Cannot write to the data folder \S+ \(it cannot be made\): .+\n$/,
    ],
    ['with a port that is none', () => ({ PCA_PORT: '70000' }), /^PCA_PORT: .+\n$/],
    [
      'with two services on one port',
      () => ({ PCA_PORT: String(Number(system.env['PCA_PORT_BASE']) + 1) }),
      /^Port \d+ is wanted by two services: .+\n$/,
    ],
    [
      'in production with the local issuer',
      () => ({ NODE_ENV: 'production' }),
      /^With NODE_ENV=production the local issuer is refused: .+\n$/,
    ],
    ['with half an issuer', () => ({ AUTH_ISSUER: 'x' }), /^AUTH_JWKS_URL, AUTH_ISSUER and AUTH_AUDIENCE belong together: .+\n$/],
    [
      'without its database server',
      () => ({ DATABASE_URL: 'postgres://u:hidden@127.0.0.1:1/x' }),
      /^The Postgres server of DATABASE_URL \(127\.0\.0\.1:1\) cannot be used: connect ECONNREFUSED \S+\n$/,
    ],
  ])('%s says why in one line', async (_name, env, line) => {
    const error = await refused(env());
    expect(error).toMatch(line);
    expect(error).not.toContain('hidden');
  });
});

describe('commands without a running system', () => {
  beforeAll(() => system.stop());

  it('make tokens', async () => {
    const { code, stdout } = await system.command('token', '--role', 'viewer', '--workspace', 'other', '--ttl', '90s');
    expect(code).toBe(0);
    const claims = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString()) as { iat: number; exp: number };
    expect(claims).toMatchObject({ workspace: 'other', scope: 'campaigns:read analytics:read anomalies:read' });
    expect(claims.exp - claims.iat).toBe(90);
  });

  it('refuse what they do not understand, in one line', async () => {
    for (const args of [
      ['token'],
      ['token', '--role', 'king'],
      ['token', '--role', 'viewer', '--ttl', 'long'],
      ['token', '--rule', 'viewer'],
      ['dance'],
      ['reset'],
    ]) {
      const { code, stdout, stderr } = await system.command(...args);
      expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }, args.join(' ')).toEqual({ code: 1, stdout: '', lines: 1 });
    }
  });

  it('delete what the system made and nothing else', async () => {
    writeFileSync(join(system.dataDir, 'not-ours'), '');
    expect(await system.command('reset', '--yes')).toMatchObject({ code: 0 });
    expect(existsSync(join(system.dataDir, 'not-ours'))).toBe(true);
    for (const name of ['postgres', 'auth', 'logs', 'lock']) expect(existsSync(join(system.dataDir, name)), name).toBe(false);
  });
});

it('runs on a Postgres server that the user names, and makes the databases that are missing', async () => {
  const server = await startPrivatePostgres();
  const given = await makeSystem({ DATABASE_URL: server.url() });
  await given.start();
  expect(given.run()?.postgres).toEqual({ embedded: false, state: 'given' });
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  const { rows } = await client.query("select datname from pg_database where datname in ('alpha', 'bus') order by 1");
  await client.end();
  expect(rows).toEqual([{ datname: 'alpha' }, { datname: 'bus' }]);
  expect(await given.stop()).toBe(0);
  expect(existsSync(join(given.dataDir, 'postgres'))).toBe(false);
  await server.stop();
});

describe('what starts it', () => {
  const started = async (file: string, stdio: 'ignore' | 'ipc'): Promise<{ child: ChildProcess; output: () => string }> => {
    const child = spawn(process.execPath, [file, 'start', '--services', fixtures.folder], {
      env: system.env,
      stdio: ['ignore', 'pipe', 'pipe', stdio],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    for (const deadline = Date.now() + 120_000; !output.includes('is ready after'); await sleep(20)) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`It did not start:\n${output}`);
    }
    return { child, output: () => output };
  };

  it('takes it down properly by its own end', async () => {
    const { child, output } = await started(main, 'ipc');
    child.disconnect();
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(output()).toContain('stopping (the command that started this is gone)');
    expect(system.processes()).toEqual([]);
  });

  it('may be killed and leaves nothing behind', async () => {
    const { child } = await started(join(root, 'tools/run.mjs'), 'ignore');
    child.kill('SIGKILL');
    await until('the end of all processes', () => system.processes().length === 0);
  }, 180_000);
});
