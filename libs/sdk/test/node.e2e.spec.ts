import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { seededRandom } from '@pca/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from './bundle.js';
import { type ProtocolServer, startProtocolServer } from './protocol-server.js';

let server: ProtocolServer;
let folder: string;
let queue: string;
const programs = new Map<string, Promise<string>>();

beforeAll(async () => {
  server = await startProtocolServer();
  folder = mkdtempSync(join(tmpdir(), 'pca-sdk-node-'));
  queue = join(folder, 'queue');
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  server.reply = undefined;
  rmSync(queue, { recursive: true, force: true });
});

/** A program in a file, made once of what stands here and the SDK's sources. */
const program = (name: string, text: string): Promise<string> => {
  const made =
    programs.get(name) ??
    bundle(text, 'node').then((code) => (writeFileSync(join(folder, `${name}.mjs`), code), join(folder, `${name}.mjs`)));
  programs.set(name, made);
  return made;
};
/** Started by a shell, which may set limits first. */
const start = (file: string, key: string, before = 'true') => {
  const args = ['-c', `${before}; exec "$0" "$@"`, process.execPath, file, server.url, key, queue];
  const child = spawn('bash', args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return { child, lines, ended: once(child, 'close').then(([code]) => code as number | null) };
};

const head = `import { createClient } from '@pca/sdk/node';
const [, , endpoint, writeKey, folder] = process.argv;
const onError = ({ code, events }) => console.log('error ' + code + ' ' + events.length);`;

/** Says the id of each event once its call resolves, for ever, several at a time. */
const tracker = `${head}
const client = createClient({ endpoint, writeKey, folder, flushIntervalMs: 5, onError });
const one = async () => {
  for (;;) {
    console.log(await client.track('tracked', { at: Date.now() }, { userId: 'ada' }));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};
for (let index = 0; index < 8; index++) one();`;

const drainer = `${head}
const client = createClient({ endpoint, writeKey, folder, onError });
console.log(await client.flush());
await client.close();`;

describe('a queue in files', () => {
  // Broken by: a call that resolves before fsync, a record torn by the kill that spoils others, a file that nobody takes over.
  it('brings every acknowledged event to the server, though processes are killed and the server is not well', async () => {
    const random = seededRandom('sdk-kills');
    const [track, drain] = await Promise.all([program('tracker', tracker), program('drainer', drainer)]);
    server.reply = () => random.pick([{ status: 202 }, { status: 503 }, 'take and break', 'break', 'hang'] as const);
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round++) {
      // Two at a time share the folder, as the workers of one service.
      const running = [start(track, 'kills'), start(track, 'kills')];
      const enough = 20 + random.int(150);
      for (const { lines } of running) await expect.poll(() => lines.length, { interval: 5 }).toBeGreaterThan(enough);
      for (const { child } of running) child.kill('SIGKILL');
      for (const { ended, lines } of running) {
        await ended;
        acknowledged.push(...lines.filter((line) => line !== 'error UNSENT 0'));
      }
    }
    server.reply = undefined;
    const last = start(drain, 'kills');
    expect(await last.ended).toBe(0);
    expect(last.lines).toEqual(['true']);
    expect(acknowledged.filter((line) => !/^[0-9a-f-]{36}$/.test(line))).toEqual([]);
    const taken = new Set(server.ids('kills'));
    process.stdout.write(`sdk-kills: ${acknowledged.length} acknowledged, ${taken.size} taken\n`);
    expect(acknowledged.filter((id) => !taken.has(id))).toEqual([]);
    expect(readdirSync(queue)).toEqual([]);
  });

  // Broken by: a full disk that costs events while the process lives, is told with every event, or leaves half records behind.
  it('goes on in memory when the disk is full, and says so', async () => {
    const file = await program(
      'full',
      `${head}
const client = createClient({ endpoint, writeKey, folder, flushIntervalMs: 3_600_000, onError });
for (let index = 0; index < 90; index++) console.log(await client.track('large', { text: 'x'.repeat(2_000) }, { userId: 'ada' }));
console.log(await client.flush());
await client.close();`,
    );
    // A file has at most 64 blocks of 1,024 bytes.
    const { ended, lines } = start(file, 'full', 'ulimit -f 64');
    expect(await ended).toBe(0);
    expect(lines.filter((line) => line.startsWith('error'))).toEqual(['error STORAGE_FAILED 0']);
    expect(lines.at(-1)).toBe('true');
    expect(server.ids('full')).toEqual(lines.filter((line) => /^[0-9a-f-]{36}$/.test(line)));
    expect(server.ids('full')).toHaveLength(90);
    expect(readdirSync(queue)).toEqual([]);
  });

  // Broken by: a person of a desktop program who is another one at each start.
  it('remembers the person of a program for one', async () => {
    const file = await program(
      'remember',
      `${head}
const client = createClient({ endpoint, writeKey, folder, remember: true, onError });
await client.track('started');
await client.identify('ada');
await client.close();`,
    );
    for (let run = 0; run < 2; run++) expect(await start(file, 'remember').ended).toBe(0);
    const events = server.ids('remember').map((id) => server.taken.get(id)!);
    expect(events.map(({ userId }) => userId)).toEqual([undefined, 'ada', 'ada', 'ada']);
    expect(new Set(events.map(({ anonymousId }) => anonymousId)).size).toBe(1);
    expect(new Set(events.map(({ sessionId }) => sessionId)).size).toBe(1);
  });
});

describe('a program', () => {
  // Broken by: a README that nobody tried; a process that ends before its first try.
  it('of the three lines of the README works, and ends', async () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const [, lines = ''] = /```ts\n(import .*'@pca\/sdk\/node';\n[^`]*)```/.exec(readme) ?? [];
    expect(lines.trim().split('\n')).toHaveLength(3);
    const file = await program('readme', lines.replace('http://localhost:8000', server.url).replace('YOUR_INGEST_KEY', 'readme'));
    expect(await start(file, '').ended).toBe(0);
    expect(server.names('readme')).toEqual(['invoice paid']);
  });

  // Broken by: a timer of a retry that keeps a program running for a server that is away.
  it('ends though its events could not be sent, which the next one sends', async () => {
    const [end, drain] = await Promise.all([
      program(
        'ending',
        `${head}
const client = createClient({ endpoint, writeKey, folder, flushIntervalMs: 10, onError });
await client.track('last words', {}, { userId: 'ada' });`,
      ),
      program('drainer', drainer),
    ]);
    // A pause that the server asks for lasts longer than a process.
    for (const [key, reply, answer] of [
      ['ending', { status: 503 }, 'true'],
      ['pausing', { status: 503, headers: { 'retry-after': '3600' } }, 'false'],
    ] as const) {
      server.reply = () => reply;
      expect(await start(end, key).ended).toBe(0);
      expect(readdirSync(queue)).toHaveLength(1);
      server.reply = undefined;
      const next = start(drain, key);
      expect(await next.ended).toBe(0);
      expect(next.lines).toEqual([answer]);
    }
    expect(server.names('ending')).toEqual(['last words']);
    expect(server.names('pausing')).toEqual([]);
  });
});
