import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresEventBus } from '@pca/event-bus';
import { type PrivatePostgres, startPrivatePostgres } from '@pca/testing';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { randomFrom } from '../../event-bus/test/random.js';
import { auditLedger, createLedger } from './ledger.js';
import { Spawned } from './processes/spawned.js';

const rounds = Number(process.env['KILL_ROUNDS'] ?? 16);
const timeout = 180_000 + rounds * 8_000;
let server: PrivatePostgres | undefined;
let processes: Spawned[] = [];

afterEach(async () => {
  await Promise.all(processes.map((process) => process.kill()));
  await server?.stop();
});

// Broken by: an event outside the writer's transaction, removal before the bus has acknowledged, an acknowledgement before the commit, a
// second relay that begins anywhere but at the oldest row.
it('loses no acknowledged write and publishes each change, whatever is killed at whatever moment', { timeout }, async () => {
  const random = randomFrom('kill');
  server = await startPrivatePostgres();
  const ledger = await server.createDatabase();
  const busDatabase = await server.createDatabase();
  const openPool = () => {
    const pool = new pg.Pool({ connectionString: ledger.url, max: 2 });
    pool.on('error', () => undefined);
    return pool;
  };
  let pool = openPool();
  await createLedger(pool);
  await pool.end();

  const acknowledged: string[] = [];
  const startWriter = () => new Spawned('writer.ts', [ledger.url, String(random.below(2 ** 31))]);
  const startRelay = () => new Spawned('relay.ts', [ledger.url, busDatabase.url]);
  const acknowledgedBy = (writer: Spawned) =>
    writer.lines.filter((line) => line.startsWith('ack ')).flatMap((line) => line.slice(4).split(' '));
  const harvest = (writer: Spawned) => acknowledged.push(...acknowledgedBy(writer));
  const at = { writer: 0, relay: 1, standBy: 2 } as const;
  processes = [startWriter(), startRelay(), startRelay()];
  // Blows before anybody is at work would hit nothing.
  await Promise.all(processes.map((process) => process.started()));

  const blows = {
    writer: async () => {
      await processes[at.writer]!.kill();
      harvest(processes[at.writer]!);
      processes[at.writer] = startWriter();
    },
    relay: async () => {
      await processes[at.relay]!.kill();
      processes[at.relay] = startRelay();
    },
    standBy: async () => {
      await processes[at.standBy]!.kill();
      processes[at.standBy] = startRelay();
    },
    postgres: async () => {
      await server!.kill();
      await sleep(random.below(200));
      await server!.start();
    },
    // The relay lives on and has lost its lock, perhaps while it publishes.
    connections: async () => {
      const one = openPool();
      await one.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test-relay'`);
      await one.end();
    },
  };
  const dealt: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await sleep(200 + random.below(700));
    const names = Object.keys(blows) as (keyof typeof blows)[];
    // Each kind once, then by chance; now and then two at once.
    const first = names[round] ?? random.pick(names);
    const chosen = new Set([first]);
    if (random.chance(0.25) && first !== 'connections') chosen.add(random.pick(['writer', 'relay', 'postgres'] as const));
    await Promise.all([...chosen].map((name) => blows[name]()));
    dealt.push([...chosen].join('+'));
  }
  // However slow the machine is, there is something to lose.
  while (acknowledged.length + acknowledgedBy(processes[at.writer]!).length <= rounds * 10) await sleep(50);
  await sleep(500);
  await processes[at.writer]!.finish();
  harvest(processes[at.writer]!);

  pool = openPool();
  const depth = async () => Number((await pool.query<{ n: string }>('select count(*) as n from outbox')).rows[0]?.n);
  while ((await depth()) > 0) await sleep(20);
  await Promise.all([processes[at.relay]!.finish(), processes[at.standBy]!.finish()]);
  const bus = await PostgresEventBus.connect({ url: busDatabase.url });
  const report = await auditLedger(pool, bus);
  const { rows } = await pool.query<{ event_id: string }>('select event_id from change');
  const stored = new Set(rows.map(({ event_id }) => event_id));
  await bus.close();
  await pool.end();
  process.stdout.write(`killed ${dealt.join(', ')}; ${acknowledged.length} acknowledged, ${JSON.stringify(report)}\n`);

  expect(
    acknowledged.filter((id) => !stored.has(id)),
    `seed ${random.seed}`,
  ).toEqual([]);
  expect(report, `seed ${random.seed}`).toMatchObject({ missing: 0, phantoms: 0, inversions: 0 });
  expect(acknowledged.length).toBeGreaterThan(rounds * 10);
});
