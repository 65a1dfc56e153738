import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BusMessage, campaignCreated, campaignsTopic, makeEvent } from '@pca/contracts';
import { rememberedUrl } from '@pca/embedded-postgres';
import { connectEventBus, type EventBus, type EventBusAdmin } from '@pca/event-bus';
import { projectionMain, requiresKafka } from '@pca/testing';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSystem, runningSystem } from './running-system.js';

const waiting = { timeout: 60_000 };
const hasKafka = await requiresKafka();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pca-projection-'));
  mkdirSync(join(folder, 'projection/dist'), { recursive: true });
  const pca = { port: 8101, database: 'projection' };
  writeFileSync(join(folder, 'projection/project.json'), JSON.stringify({ name: 'projection', metadata: { pca } }));
  writeFileSync(join(folder, 'projection/dist/main.js'), `import(${JSON.stringify(pathToFileURL(projectionMain).href)});`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const created = (name: string): BusMessage => {
  const campaign = {
    ...{ id: uuidv7(), externalId: null, name, platform: 'Google', status: 'ACTIVE' as const, objective: null, vertical: null },
    ...{ currency: 'USD', dailyBudgetMicros: null, startDate: '2026-01-01', endDate: null, version: 1 },
  };
  return makeEvent(campaignCreated, { campaign, actor: 'ann' }, { workspaceId: 'demo', correlationId: 'test' });
};

describe.each(['postgres', ...(hasKafka ? (['kafka'] as const) : [])] as const)('with BUS=%s', (kind) => {
  let system: RunningSystem;
  let pool: pg.Pool;
  let bus: EventBus & EventBusAdmin;
  const command = (...args: string[]) => system.command(...args, '--services', folder);

  beforeAll(async () => {
    system = await runningSystem({ services: folder, env: { BUS: kind, KAFKA_BROKERS: '' } });
    await system.start();
    const url = (database: string): string => rememberedUrl(join(system.dataDir, 'postgres'), database) ?? '';
    pool = new pg.Pool({ connectionString: url('projection'), max: 2 });
    pool.on('error', () => undefined);
    const brokers = `127.0.0.1:${system.run()?.kafka?.port}`;
    bus = await connectEventBus(kind === 'kafka' ? { bus: 'kafka', brokers } : { bus: 'postgres', url: url('bus') });
  });
  afterAll(async () => {
    await bus.close();
    await pool.end();
    await system.remove();
  });

  const seen = async (): Promise<number> =>
    (await pool.query<{ count: number }>('select count(*)::int as count from seen_campaign')).rows[0]?.count ?? -1;
  const list = async (...args: string[]): Promise<string> =>
    (await command('redrive', '--topic', campaignsTopic, '--list', ...args)).stdout;

  // Broken by: a command that acts on another bus than the system's, a redrive that is heard by nobody.
  it('lists what was given up, with the reason, and gives it back when it is cured', async () => {
    const poison = created('poison');
    await bus.publish([...Array.from({ length: 10 }, () => created('good')), poison]);
    await expect.poll(() => list(), waiting).toContain('1 open dead letters');
    const listed = await list('--group', 'projection', '--type', 'campaign.created.v1', '--id', poison.envelope.id);
    expect(listed).toMatch(/projection +campaign\.created\.v1 +\S+ +5 +Error: nobody can handle poison\n/);
    expect(await list('--group', 'others')).toBe(`0 open dead letters of ${campaignsTopic}\n`);
    expect(await seen()).toBe(10);

    // Too early: it is given up again, and is open again.
    expect(await command('redrive', '--topic', campaignsTopic)).toMatchObject({
      code: 0,
      stdout: `1 dead letters of ${campaignsTopic} given back\n`,
    });
    await expect.poll(() => list(), waiting).toContain('1 open dead letters');
    await pool.query(`insert into cure values ('poison')`);
    expect((await command('redrive', '--topic', campaignsTopic, '--group', 'projection')).code).toBe(0);
    await expect.poll(seen, waiting).toBe(11);
    expect(await list()).toBe(`0 open dead letters of ${campaignsTopic}\n`);
  });

  // Broken by: a replay that begins without being meant, or that leaves out what was redriven.
  it('makes a projection anew, once that is meant', async () => {
    const asked = await command('replay', '--service', 'projection', '--group', 'projection');
    expect(asked).toMatchObject({ code: 1, stdout: '' });
    expect(asked.stderr).toMatch(/^This empties [^\n]+: add --yes [^\n]+\n$/);
    const done = await command('replay', '--service', 'projection', '--group', 'projection', '--yes');
    expect(done.stderr).toBe('');
    expect(done.stdout).toMatch(
      /^projection replays campaigns\.events\.v1 \(generation 1\)\n[\s\S]*100 %, 13 of 13 messages\nprojection has caught up\n$/,
    );
    expect(done.code).toBe(0);
    expect(await seen()).toBe(11);
  });

  // Broken by: a dead row that nobody can bring back.
  it('lists what never reached the bus, and puts it back', async () => {
    await pool.query(`insert into outbox (topic, message) values ('x', 'no JSON')`);
    const dead = async () => (await command('redrive', '--outbox', 'projection', '--list')).stdout;
    await expect.poll(dead, waiting).toMatch(/^\d+ +\S+ +x +SyntaxError[^\n]+\n1 dead in the outbox of projection\n$/);
    const id = /^\d+/.exec(await dead())?.[0] ?? '';
    expect((await command('redrive', '--outbox', 'projection', '--id', '999999')).stdout).toBe(
      '0 put back into the outbox of projection\n',
    );
    expect((await command('redrive', '--outbox', 'projection', '--id', id)).stdout).toBe('1 put back into the outbox of projection\n');
  });

  it('refuses in one line what cannot be', async () => {
    const refusals: [string[], RegExp][] = [
      [['redrive'], /^Which topic\? Usage: /],
      [['redrive', '--topic', `${campaignsTopic}.dead-letters`], /^BAD_USER_INPUT: Name the topic itself/],
      [['replay', '--yes'], /^Which group of which service\? Usage: /],
      [['replay', '--service', 'nobody', '--group', 'x', '--yes'], /^There is no service "nobody"; there are: projection\n$/],
      [['replay', '--service', 'projection', '--group', 'x', '--yes'], /^NOT_FOUND: projection has no group "x"; it has: projection\n$/],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await command(...args);
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(message) as string });
      expect(stderr.trimEnd()).not.toContain('\n');
    }
  });
});

it('says that nothing runs', async () => {
  const system = await runningSystem({ services: folder });
  const { code, stderr } = await system.command('redrive', '--topic', campaignsTopic);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'The system is not running on this data folder: run npm start first, in another terminal\n',
  });
  await system.remove();
});
