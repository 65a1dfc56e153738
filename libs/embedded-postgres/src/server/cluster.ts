import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { PostgresBinaries } from './binaries.js';
import type { Listener } from './listener.js';
import { EmbeddedPostgresError } from '../embedded-postgres-error.js';
import type { ProcessIdentity } from '../machine/process-identity.js';
import { writeWhole } from '../machine/write-whole.js';
import { alignOwner, type Command, dieWithParent, type RunAs } from '../machine/run-as.js';

export const superuser = 'postgres';

/** The folder that Postgres itself owns, inside ours. */
export const clusterFolder = (dataDir: string): string => join(dataDir, 'data');

const readText = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined);

/** The superuser's password: made once, kept beside the cluster, readable by its owner alone. */
export const password = (dataDir: string): string => {
  const path = join(dataDir, 'password');
  const known = readText(path);
  if (known) return known;
  if (existsSync(clusterFolder(dataDir)))
    throw new EmbeddedPostgresError('PASSWORD_LOST', `The password file of Postgres is gone: put ${path} back`);
  const made = randomBytes(24).toString('base64url');
  writeWhole(path, `${made}\n`);
  return made;
};

/** The port of the last start, so that connection strings that somebody noted down stay good. */
export const rememberedPort = (dataDir: string): number | undefined => {
  const port = Number(readText(join(dataDir, 'port')));
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
};

export const rememberPort = (dataDir: string, port: number): void => writeWhole(join(dataDir, 'port'), `${port}\n`);

const keeperFile = (dataDir: string): string => join(dataDir, 'keeper');

/** Who ends the server if its owner dies: the next owner lets it do so. */
export const rememberKeeper = (dataDir: string, keeper: ProcessIdentity | undefined): void =>
  writeWhole(keeperFile(dataDir), JSON.stringify(keeper ?? null));

export const rememberedKeeper = (dataDir: string): ProcessIdentity | undefined =>
  (JSON.parse(readText(keeperFile(dataDir)) || 'null') as ProcessIdentity | null) ?? undefined;

/** What of initdb's or the server's words tells the cause. */
export const faultOf = (log: readonly string[], dataDir: string): EmbeddedPostgresError => {
  const text = log.join('\n');
  if (/No space left on device/.test(text)) return new EmbeddedPostgresError('DISK_FULL', `No space left on the disk of ${dataDir}`, log);
  const telling = log.findLast((line) => /FATAL|PANIC|error:/.test(line)) ?? log.at(-1) ?? 'it said nothing';
  return new EmbeddedPostgresError('START_FAILED', `Postgres did not start: ${telling.replace(/^.*?(FATAL|PANIC|error):\s*/, '')}`, log);
};

const runToEnd = ({ file, args, uid, gid }: Command): Promise<{ code: number | null; log: string[] }> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], ...(uid === undefined ? {} : { uid, gid }) });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, log: output.split('\n').filter((line) => line.trim() !== '') }));
  });

/**
 * Character types come from the operating system where it has a UTF-8 locale of no country, because pg_trgm finds no letters outside of
 * ASCII without; order and case are Postgres's own everywhere, so that an index never depends on the machine's libc.
 */
const characterTypes = ['C.UTF-8', 'en_US.UTF-8', 'C'];

interface InitOptions {
  readonly dataDir: string;
  readonly binaries: PostgresBinaries;
  readonly runAs: RunAs;
  /** Without flushing to disk: for data that nobody keeps. */
  readonly temporary: boolean;
}

/** Makes the cluster unless it is there. It is built aside and renamed, so that an end at any moment leaves a whole cluster or none. */
export const ensureCluster = async ({ dataDir, binaries, runAs, temporary }: InitOptions): Promise<void> => {
  for (const left of readdirSync(dataDir).filter((name) => name.startsWith('unfinished-')))
    rmSync(join(dataDir, left), { recursive: true, force: true });
  const versionFile = join(clusterFolder(dataDir), 'PG_VERSION');
  if (existsSync(versionFile)) {
    const version = Number(readText(versionFile));
    if (version === binaries.majorVersion) return;
    throw new EmbeddedPostgresError(
      'OTHER_VERSION',
      `The data in ${dataDir} is of Postgres ${version}, this is Postgres ${binaries.majorVersion}: use the program version that wrote it, or another data folder`,
    );
  }
  let last: string[] = [];
  for (const locale of characterTypes) {
    const unfinished = join(dataDir, `unfinished-${process.pid}`);
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { mode: 0o700 });
    alignOwner(dataDir, runAs);
    const { code, log } = await runToEnd(
      await dieWithParent(runAs, 'KILL', binaries.initdb, [
        '-D',
        unfinished,
        '-U',
        superuser,
        '--auth=scram-sha-256',
        `--pwfile=${join(dataDir, 'password')}`,
        '--encoding=UTF8',
        `--locale=${locale}`,
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--no-instructions',
        ...(temporary ? ['--no-sync'] : []),
      ]),
    );
    if (code === 0) return renameSync(unfinished, clusterFolder(dataDir));
    last = log;
    rmSync(unfinished, { recursive: true, force: true });
    if (!log.some((line) => /locale/.test(line))) break;
  }
  throw faultOf(last, dataDir);
};

const mebibyte = 2 ** 20;

/** Settings for a machine that does other things too; fsync and full_page_writes stay on. */
export const serverSettings = ({ port, socketFolder }: Listener): Record<string, string> => ({
  listen_addresses: '127.0.0.1',
  unix_socket_directories: socketFolder === undefined ? '' : `"${socketFolder.replaceAll('"', '""')}"`,
  unix_socket_permissions: '0700',
  port: String(port),
  max_connections: '100',
  // A query over years of day partitions locks each of them with its indexes: three locks for each of 3,650 days, ten such queries at once.
  max_locks_per_transaction: '1024',
  shared_buffers: `${Math.min(512, Math.max(64, Math.floor(totalmem() / mebibyte / 32)))}MB`,
  work_mem: '8MB',
  random_page_cost: '1.1',
  jit: 'off',
  max_wal_size: '512MB',
  wal_compression: 'on',
  max_wal_senders: '0',
  wal_level: 'minimal',
  // Outbox and log tables turn over completely: with the defaults (a minute's nap, throttled) they bloat tenfold in a burst.
  autovacuum_naptime: '2s',
  autovacuum_vacuum_cost_delay: '0',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  log_line_prefix: '%p ',
  lc_messages: 'C',
});
