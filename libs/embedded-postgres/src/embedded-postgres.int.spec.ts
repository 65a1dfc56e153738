import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, isSameProcess, type ProcessIdentity, rememberedUrl, startEmbeddedPostgres } from './index.js';
import { clusterProcesses } from './server/leftovers.js';

let root: string;
let dataDir: string;

beforeAll(async () => {
  // mkdtemp makes a folder that is closed to all others, which is what a clone of root's looks like.
  root = mkdtempSync(join(tmpdir(), 'pca-embedded-'));
  dataDir = join(root, 'postgres');
  const server = await startEmbeddedPostgres({ dataDir });
  await server.createDatabase('kept');
  await query(server.url('kept'), 'create table kept (a int); insert into kept values (42)');
  await server.stop();
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

const query = async (url: string, sql: string): Promise<unknown[]> => {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(sql);
    return (Array.isArray(result) ? [] : result.rows) as unknown[];
  } finally {
    await client.end();
  }
};

const keptValue = (server: EmbeddedPostgres): Promise<unknown[]> => query(server.url('kept'), 'select a from kept');

const processesLeft = (): number[] => clusterProcesses(join(dataDir, 'data'));

/** A process that owns the server, from the built files, as the supervisor does. */
const startOwner = async (more = ''): Promise<{ owner: ChildProcess; keeperPid: number }> => {
  const library = fileURLToPath(new URL('../dist/index.js', import.meta.url));
  const script = `import { spawn } from 'node:child_process';
    import { processIdentity, startEmbeddedPostgres } from ${JSON.stringify(library)};
    const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} });
    process.send(server.keeperPid);
    ${more}
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const keeperPid = await new Promise<number>((resolve, reject) => {
    owner.once('message', (pid) => resolve(Number(pid)));
    owner.once('exit', () => reject(new Error('the owner ended')));
  });
  return { owner, keeperPid };
};

describe('the data', () => {
  it('stays, with the port and the password, over a stop and a start', async () => {
    const first = await startEmbeddedPostgres({ dataDir });
    expect(rememberedUrl(dataDir, 'kept')).toBe(first.url('kept'));
    await first.stop();
    expect(rememberedUrl(`${dataDir}-of-nobody`)).toBeUndefined();
    const second = await startEmbeddedPostgres({ dataDir });
    expect(second.url()).toBe(first.url());
    expect(await keptValue(second)).toEqual([{ a: 42 }]);
    expect(await second.createDatabase('kept')).toBe(false);
    await second.stop();
    expect(await second.exited).toEqual({ code: 0, signal: null, wanted: true });
  });

  // Broken by: the server's default, which a query over a few years of day partitions outgrows.
  it('may be of ten years of days with two indexes each, all in one query', async () => {
    const server = await startEmbeddedPostgres({ dataDir });
    try {
      const locks = 'select count(pg_advisory_xact_lock(n)) from generate_series(1, 3 * 3650 * 9) n';
      expect(await query(server.url('kept'), locks)).toEqual([{ count: '98550' }]);
    } finally {
      await server.stop();
    }
  });

  it('is readable by its owner alone, and the server asks for the password', async () => {
    expect(statSync(join(dataDir, 'password')).mode & 0o777).toBe(0o600);
    expect(statSync(join(dataDir, 'data')).mode & 0o777).toBe(0o700);
    const server = await startEmbeddedPostgres({ dataDir });
    await expect(query(server.url().replace(/:[^:@/]+@/, ':wrong@'), 'select 1')).rejects.toThrow('password authentication failed');
    await server.stop();
  });

  it('is made anew after a cluster that was left half done', async () => {
    const other = join(root, 'half');
    mkdirSync(join(other, 'unfinished-1', 'base'), { recursive: true });
    const server = await startEmbeddedPostgres({ dataDir: other, temporary: true });
    expect(readdirSync(other).sort()).toEqual(['data', 'keeper', 'lock', 'password', 'port']);
    await server.stop();
    expect(existsSync(other)).toBe(false);
  });

  it('of another Postgres is refused and left alone', async () => {
    const file = join(dataDir, 'data', 'PG_VERSION');
    const version = readFileSync(file, 'utf8');
    writeFileSync(file, '15\n');
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({
      fault: 'OTHER_VERSION',
      message: expect.stringContaining('Postgres 15') as string,
    });
    writeFileSync(file, version);
  });

  it('without its password file is refused with the path', async () => {
    const file = join(dataDir, 'password');
    const secret = readFileSync(file, 'utf8');
    rmSync(file);
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({
      fault: 'PASSWORD_LOST',
      message: expect.stringContaining(file) as string,
    });
    writeFileSync(file, secret, { mode: 0o600 });
  });
});

describe('the server', () => {
  const overTcp = (url: string): string => url.replace(/\?.*/, '');
  const isOverTcp = 'select inet_server_port() is not null as tcp';

  // Broken by: a URL that names no socket, a server that no longer listens on its port, or a folder that others may enter.
  it('is reached by a socket in its own folder, and by whoever needs it over TCP', async () => {
    const odd = join(root, `a "b" c's 100%25 d`);
    const server = await startEmbeddedPostgres({ dataDir: odd, temporary: true });
    expect(await query(server.url(), isOverTcp)).toEqual([{ tcp: false }]);
    expect(await query(overTcp(server.url()), isOverTcp)).toEqual([{ tcp: true }]);
    for (const path of [odd, relative('.', odd)]) expect(await query(rememberedUrl(path) ?? '', isOverTcp)).toEqual([{ tcp: false }]);
    expect(statSync(join(odd, 'data', `.s.PGSQL.${server.port}`)).mode & 0o777).toBe(0o700);
    await server.stop();
  });

  // Broken by: a path that the system cuts off or that libpq takes for two hosts, or a server that does not start without its socket.
  it.each(['d'.repeat(100), 'a,b'])('is reached over TCP where a socket cannot be in %s', async (name) => {
    const deep = join(root, name);
    const server = await startEmbeddedPostgres({ dataDir: deep, temporary: true });
    expect(server.url()).toBe(overTcp(server.url()));
    expect(rememberedUrl(deep)).toBe(server.url());
    expect(await query(server.url(), isOverTcp)).toEqual([{ tcp: true }]);
    await server.stop();
  });

  // Broken by: a lock of a socket whose number belongs to a stranger by now, over which Postgres refuses to start.
  it('starts over the sockets that an earlier one left', async () => {
    const { port, ...first } = await startEmbeddedPostgres({ dataDir });
    await first.stop();
    for (const left of [port, 1]) {
      writeFileSync(join(dataDir, 'data', `.s.PGSQL.${left}`), '');
      writeFileSync(join(dataDir, 'data', `.s.PGSQL.${left}.lock`), `${process.ppid}\n/\n0\n${left}\n/\n`);
    }
    const server = await startEmbeddedPostgres({ dataDir });
    expect(await keptValue(server)).toEqual([{ a: 42 }]);
    const sockets = readdirSync(join(dataDir, 'data')).filter((name) => name.startsWith('.s.'));
    expect(sockets.sort()).toEqual([`.s.PGSQL.${server.port}`, `.s.PGSQL.${server.port}.lock`]);
    await server.stop();
  });

  it('finds letters of every script in a trigram index and orders by code point', async () => {
    const server = await startEmbeddedPostgres({ dataDir });
    await query(server.url('kept'), 'create extension if not exists pg_trgm');
    const sql = `select similarity('кампания', 'компания') > 0.3 as similar, 'ÀB' ilike 'àb' as folded, 'Z' < 'a' as ordered`;
    expect(await query(server.url('kept'), sql)).toEqual([{ similar: true, folded: true, ordered: true }]);
    await server.stop();
  });

  it('is refused on a folder that is in use', async () => {
    const server = await startEmbeddedPostgres({ dataDir });
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({ fault: 'IN_USE' });
    expect(await keptValue(server)).toEqual([{ a: 42 }]);
    await server.stop();
  });

  it('takes another port when the remembered one is taken, and says so when a wanted one is', async () => {
    const remembered = Number(readFileSync(join(dataDir, 'port'), 'utf8'));
    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(remembered, '127.0.0.1', resolve));
    await expect(startEmbeddedPostgres({ dataDir, port: remembered })).rejects.toMatchObject({ fault: 'PORT_TAKEN' });
    const server = await startEmbeddedPostgres({ dataDir });
    expect(server.port).not.toBe(remembered);
    expect(await keptValue(server)).toEqual([{ a: 42 }]);
    await server.stop();
    stranger.close();
  });

  it('tells the cause when it does not start', async () => {
    await expect(startEmbeddedPostgres({ dataDir, settings: { no_such_setting: '1' } })).rejects.toMatchObject({
      fault: 'START_FAILED',
      message: expect.stringContaining('no_such_setting') as string,
    });
    expect(processesLeft()).toEqual([]);
  });

  it('starts over a pid file whose number belongs to a stranger', async () => {
    writeFileSync(join(dataDir, 'data', 'postmaster.pid'), `${process.pid}\n${join(dataDir, 'data')}\n`);
    const server = await startEmbeddedPostgres({ dataDir });
    expect(await keptValue(server)).toEqual([{ a: 42 }]);
    await server.stop();
  });
});

describe('an end that nobody planned', () => {
  it('of the server is told, and the next start recovers', async () => {
    const server = await startEmbeddedPostgres({ dataDir });
    process.kill(server.pid, 'SIGKILL');
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL', wanted: false });
    const again = await startEmbeddedPostgres({ dataDir });
    expect(await keptValue(again)).toEqual([{ a: 42 }]);
    await again.stop();
  });

  it.each([
    ['of the owner', true, false],
    ['of the keeper', false, true],
    ['of both', true, true],
  ])('%s leaves no process and no damage', async (_name, killOwner, killKeeper) => {
    const { owner, keeperPid } = await startOwner();
    if (killKeeper) process.kill(keeperPid, 'SIGKILL');
    if (killOwner) owner.kill('SIGKILL');
    await expect.poll(processesLeft).toEqual([]);
    owner.kill('SIGKILL');
    await new Promise((resolve) =>
      owner.exitCode === null && owner.signalCode === null ? owner.once('exit', resolve) : resolve(undefined),
    );
    const again = await startEmbeddedPostgres({ dataDir });
    expect(await keptValue(again)).toEqual([{ a: 42 }]);
    await again.stop();
  });

  it('of the owner lets the programs that use the server finish first, and ends those that do not', async () => {
    const program = (onTerm: string): string => `import pg from ${JSON.stringify(import.meta.resolve('pg'))};
      const client = new pg.Client({ connectionString: process.argv[1] });
      await client.connect();
      process.on('SIGTERM', async () => { ${onTerm} });
      process.stdout.write('ready');`;
    const finishes = program("setTimeout(async () => { await client.query('insert into kept values (43)'); process.exit(); }, 500);");
    const { owner } = await startOwner(`
      const identities = [];
      for (const code of ${JSON.stringify([finishes, program('')])}) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', code, server.url('kept')], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
        await new Promise((resolve) => child.stdout.once('data', resolve));
        identities.push(processIdentity(child.pid));
      }
      server.setCompanions(identities);
      process.send(identities);`);
    const companions = await new Promise<ProcessIdentity[]>((resolve) =>
      owner.once('message', (list) => resolve(list as ProcessIdentity[])),
    );
    owner.kill('SIGKILL');
    const again = await startEmbeddedPostgres({ dataDir });
    expect(await query(again.url('kept'), 'select a from kept order by a')).toEqual([{ a: 42 }, { a: 43 }]);
    expect(companions.filter(isSameProcess)).toEqual([]);
    await query(again.url('kept'), 'delete from kept where a = 43');
    await again.stop();
  });
});

describe.runIf(process.getuid?.() === 0)('as root', () => {
  const path = process.env['PATH'];
  const without = (...programs: string[]): void => {
    const folder = join(root, `without-${randomBytes(4).toString('hex')}`);
    mkdirSync(folder);
    for (const program of programs) writeFileSync(join(folder, program), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    process.env['PATH'] = `${folder}:${path}`;
  };

  afterAll(() => {
    process.env['PATH'] = path;
  });

  it('runs in a user namespace, as user postgres, or says what to do, and hands the data over', async () => {
    const seen: string[] = [];
    const startAndStop = async (): Promise<void> => {
      const server = await startEmbeddedPostgres({ dataDir });
      seen.push(server.runsAs);
      expect(await keptValue(server)).toEqual([{ a: 42 }]);
      await server.stop();
    };
    await startAndStop();
    without('unshare');
    await startAndStop();
    without('unshare', 'setpriv');
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({ fault: 'NOT_RUNNABLE_AS_ROOT' });
    chmodSync(root, 0o755);
    await startAndStop();
    chmodSync(root, 0o700);
    process.env['PATH'] = path;
    await startAndStop();
    expect(seen).toEqual(['a user namespace', "user postgres with access to root's files", 'user postgres', 'a user namespace']);
  });
});
