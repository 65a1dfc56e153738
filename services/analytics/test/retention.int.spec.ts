import { locksOfThisDatabase, seededRandom } from '@pca/testing';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../src/data-source.js';
import { lockWorkspacesShared } from '../src/timelines/workspace-lock.js';
import { type ErasureUnderTest, startErasure } from './erasure-under-test.js';
import { addEvents, addPerson, addSession, dayMs, daysAgo, farFromMidnight, messages, type Row } from './retention-rows.js';
import { storedEvents, storesOn, tracked } from './timelines-under-test.js';

let sut: ErasureUnderTest;
beforeAll(async () => {
  sut = await startErasure();
});
afterAll(() => sut.stop());
beforeEach(async () => {
  await farFromMidnight();
  await query('truncate event, person, session, workspace');
  for (const table of await partitions()) await query(`drop table ${table}`);
});

const query = async <T extends object>(sql: string, values: unknown[] = []): Promise<T[]> =>
  (await sut.database.pool.query<T>(sql, values)).rows;
const addWorkspace = async (id: string, days: number): Promise<number> =>
  (await query<{ number: number }>('insert into workspace (id, retention_days) values ($1, $2) returning number', [id, days]))[0]?.number ??
  -1;
const partitions = async (): Promise<string[]> =>
  (
    await query<{ name: string }>(`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'event'::regclass order by 1`)
  ).map(({ name }) => name);
const partitionOf = (at: Date): string => `event_${at.toISOString().slice(0, 10).replaceAll('-', '')}`;
const due = async (): Promise<number> => (await query('select from workspace where retention_swept_on is null')).length;
const someoneWaitsForARow = async (): Promise<void> =>
  expect
    .poll(async () => (await query(`select from ${locksOfThisDatabase} and not granted and locktype = 'transactionid'`)).length)
    .toBe(1);
const names = async (table: 'person' | 'session'): Promise<string[]> =>
  (await query<{ name: string }>(`select ${table === 'person' ? 'external_id' : 'name'} as name from ${table} order by 1`)).map(
    ({ name }) => name,
  );

// Broken by: a number that is taken as it comes, a setting of somebody else, a lower retention that waits for tomorrow.
it('is asked for and set by whoever may, from 1 to 3650 days', async () => {
  const owner = await sut.token('owner', 'kept');
  const set = async (days: number, token = owner) =>
    sut.service.graphql<{ setBehaviourRetention: number }>(token, 'mutation ($d: Int!) { setBehaviourRetention(days: $d) }', { d: days });
  const get = async (token: string) => sut.service.graphql<{ behaviourRetention: number }>(token, '{ behaviourRetention }');
  expect((await get(owner)).data).toEqual({ behaviourRetention: 3650 });
  for (const days of [0, -1, 3651]) expect((await set(days)).errors[0]?.extensions.code, String(days)).toBe('BAD_USER_INPUT');
  await sut.sweep();
  expect(await due()).toBe(0);
  for (const days of [1, 3650, 30]) expect((await set(days)).data).toEqual({ setBehaviourRetention: days });
  expect(await due()).toBe(1);
  expect((await get(await sut.token('viewer', 'kept'))).data).toEqual({ behaviourRetention: 30 });
  expect((await set(7, await sut.token('editor', 'kept'))).errors[0]?.extensions.code).toBe('FORBIDDEN');
  await set(7, await sut.token('owner', 'foreign'));
  expect((await get(owner)).data).toEqual({ behaviourRetention: 30 });
  await sut.sweep();
  await set(30);
  expect(await due(), 'what changes nothing is no reason to sweep').toBe(0);
});

// Broken by: a day too many or too few, a row of another workspace, a sweep that is called through when it ended in the middle.
it('deletes what is older, and nothing else, however often it is interrupted', async () => {
  const random = seededRandom('retention');
  for (let round = 0; round < 4; round++) {
    const days = [1, 2 + random.int(5), 40, 60 + random.int(10)];
    const workspaces: { number: number; days: number }[] = [];
    for (const [i, each] of days.entries()) workspaces.push({ number: await addWorkspace(`w${round}-${i}`, each), days: each });
    const rows = Array.from({ length: 300 }, (_, i): Row & { keep: boolean } => {
      const workspace = random.pick(workspaces);
      const at = new Date(daysAgo(random.int(80), 0).getTime() + random.int(dayMs));
      const keep = at >= daysAgo(workspace.days, 0);
      return { workspace: workspace.number, person: 1, session: 0, at, message: `${round}-${i}`, keep };
    });
    await addEvents(sut.database.pool, rows);
    const kept = rows.filter(({ keep }) => keep).map(({ message }) => message);
    let pieces = random.int(30);
    await sut.sweep(() => Promise.resolve(pieces-- > 0));
    expect(await due(), `seed ${random.seed}: interrupted`).toBe(4);
    expect((await messages(sut.database)).filter((message) => kept.includes(message))).toEqual(kept.toSorted());
    await sut.sweep();
    expect(await messages(sut.database), `seed ${random.seed}`).toEqual(kept.toSorted());
    expect(await due()).toBe(0);
    await query('truncate event, workspace');
  }
});

// Broken by: a partition that goes while somebody still wants it, or never; a sweep that makes readers wait.
it('drops days that nobody keeps, and old ones that are empty, when nobody is at it', async () => {
  const [short, long] = [await addWorkspace('short', 10), await addWorkspace('long', 50)];
  const row = (workspace: number, at: Date): Row => ({ workspace, person: 1, session: 0, at, message: `${workspace}.${at.toISOString()}` });
  const [beyond, emptied, shared, young] = [daysAgo(51), daysAgo(40), daysAgo(35), daysAgo(20)];
  await addEvents(sut.database.pool, [row(short, beyond), row(long, beyond), row(short, emptied)]);
  await addEvents(sut.database.pool, [row(short, shared), row(long, shared), row(short, young)]);
  const reader = await sut.database.pool.connect();
  await reader.query('begin');
  await reader.query('select count(*) from event');
  await sut.sweep();
  expect(await partitions(), 'a reader goes first').toEqual([beyond, emptied, shared, young].map(partitionOf));
  expect(await due(), 'the next sweep tries again').toBe(2);
  await reader.query('commit');
  reader.release();
  await sut.sweep();
  expect(await partitions(), 'what is late still finds a young day').toEqual([shared, young].map(partitionOf));
  expect(await messages(sut.database)).toEqual([`${long}.${shared.toISOString()}`]);
  expect(await due()).toBe(0);
  await addEvents(sut.database.pool, [row(long, emptied)]);
  expect(await partitions()).toContain(partitionOf(emptied));
});

// Broken by: a person of whom one id is still heard of, one who has only been named lately, a session that loses its name, an id in memory.
it('forgets persons of whom nothing is heard any more, and sessions without events', async () => {
  const [workspace, patient] = [await addWorkspace('w', 30), await addWorkspace('patient', 300)];
  const old = daysAgo(100);
  const person = (id: string, since = old, canonical?: number): Promise<number> => addPerson(sut.database, workspace, id, since, canonical);
  const gone = await person('gone');
  const goneToo = await person('gone too', old, gone);
  const heard = await person('heard of');
  await person('alias of heard of', old, heard);
  const idle = await person('known with a young alias');
  await person('young alias', daysAgo(1), idle);
  await person('young');
  await query(`update person set created_at = now() where external_id = 'young'`);
  await person('named lately');
  await query(`update person set traits = '{}', traits_at = now() where external_id = 'named lately'`);
  const theirs = await addPerson(sut.database, patient, 'theirs', old);
  const session = (name: string, owner: number): Promise<number> => addSession(sut.database, workspace, name, owner);
  const visits = [
    { person: gone, session: await session('gone 1', gone), days: 90 },
    { person: goneToo, session: await session('gone 2', goneToo), days: 31 },
    { person: heard, session: await session('heard of, long ago', heard), days: 60 },
    { person: heard, session: await session('heard of', heard), days: 5 },
  ];
  await session('never', heard);
  await addSession(sut.database, patient, 'theirs', theirs);
  await addEvents(
    sut.database.pool,
    visits.map(({ days, ...rest }, i) => ({ ...rest, workspace, at: daysAgo(days), message: `m${i}` })),
  );
  await sut.sweep();
  const left = ['alias of heard of', 'heard of', 'known with a young alias', 'named lately', 'theirs', 'young', 'young alias'];
  expect(await names('person')).toEqual(left);
  expect(await names('session')).toEqual(['heard of', 'theirs']);
  const memories = await query<{ number: number; erasures: number }>('select number, erasures from workspace order by number');
  expect(memories).toEqual([
    { number: workspace, erasures: 3 },
    { number: patient, erasures: 0 },
  ]);
});

// Broken by: a sweep that ends after its first piece, or that skips pages between two.
it('deletes more than fits into a piece', async () => {
  const [workspace, other] = [await addWorkspace('w', 30), await addWorkspace('other', 3650)];
  const [at, many] = [daysAgo(40, 0), 20_000];
  await query('select ensure_event_days($1)', [[Math.floor(at.getTime() / dayMs)]]);
  await query(
    `insert into event select $1, $1, case when i % 2 = 0 then $2::int else $3::int end, 1, 0, 1, 0, 0, 0, 0, false, convert_to(i::text, 'UTF8'), '{}'
     from generate_series(1, $4::int) i`,
    [at, workspace, other, many],
  );
  const pages = await query<{ n: number }>(`select (pg_relation_size($1::regclass) / 8192)::int as n`, [partitionOf(at)]);
  expect(pages[0]?.n).toBeGreaterThan(3 * 64);
  await query(
    `insert into person (workspace, is_known, external_id, created_at) select $1, true, i::text, $2 from generate_series(1, 401) i`,
    [workspace, at],
  );
  const heard = await addPerson(sut.database, workspace, 'heard of', at);
  await query(`insert into session (workspace, name, person) select $1, i::text, $2 from generate_series(1, 10001) i`, [workspace, heard]);
  await addEvents(sut.database.pool, [{ workspace, person: heard, session: 0, at: daysAgo(1), message: 'new' }]);
  await sut.sweep();
  expect(await query('select workspace, count(*)::int as n from event group by 1 order by 1')).toEqual([
    { workspace, n: 1 },
    { workspace: other, n: many / 2 },
  ]);
  expect(await names('person')).toEqual(['heard of']);
  expect(await names('session')).toEqual([]);
});

// Broken by: two processes that delete beside each other; an erasure that waits for a sweep; a stop that does not end.
it('is at work in one process at a time, which does not keep an erasure waiting', async () => {
  const workspace = await addWorkspace('w', 30);
  await addPerson(sut.database, workspace, 'ada', daysAgo(1));
  const [days, erased] = [[50, 45, 40], 2];
  const row = (person: number, back: number): Row => ({ workspace, person, session: 0, at: daysAgo(back), message: `${person}.${back}` });
  await addWorkspace('other', 3650);
  await addEvents(
    sut.database.pool,
    days.map((back) => row(1_000_000, back)),
  );
  const [ada] = await query<{ id: number }>(`select id from person where external_id = 'ada'`);
  await addEvents(sut.database.pool, [row(ada?.id ?? -1, 1), row(ada?.id ?? -1, 2)]);
  const blocker = await sut.database.pool.connect();
  await blocker.query('begin');
  await blocker.query(`select from event where message = convert_to('1000000.50', 'UTF8') for update`);
  const [first, second] = [sut.deletions(), sut.deletions()];
  first.start();
  await someoneWaitsForARow();
  second.start();
  const asked = await sut.service.graphql(await sut.token('owner', 'w'), 'mutation { eraseUser(id: "ada") { id } }');
  expect(asked.errors).toEqual([]);
  await sut.takeEvents();
  await second.stop();
  expect(await query('select from event'), 'the second one leaves it to the first').toHaveLength(days.length + erased);
  // The sweep goes on, and stands at its last day while the erasure is through.
  const next = await sut.database.pool.connect();
  await next.query('begin');
  await next.query(`select from event where message = convert_to('1000000.45', 'UTF8') for update`);
  await blocker.query('commit');
  blocker.release();
  await expect.poll(async () => (await query(`select from erasure where events_deleted = ${erased}`)).length).toBe(1);
  await someoneWaitsForARow();
  const stopped = first.stop();
  await next.query('commit');
  next.release();
  await stopped;
  expect(await messages(sut.database), 'it stopped after the piece it was at').toEqual(['1000000.40']);
});

/** A sweep that does something before a piece; answers how many pieces there were. */
const sweepWith = async (piece: number, work: () => Promise<unknown>): Promise<number> => {
  let asked = 0;
  await sut.sweep(async () => {
    if (asked++ === piece) await work();
    return true;
  });
  return asked;
};
const fill = (workspace: number, days = 1): Promise<void> => {
  const row = (i: number): Row => ({ workspace, person: 0, session: 0, at: daysAgo(1 + i), message: `of nobody ${i}` });
  return addEvents(
    sut.database.pool,
    Array.from({ length: days }, (_, i) => row(i)),
  );
};

// Broken by: a person or a session that is deleted by what was seen a moment ago, so that an event is left of nobody, or traits are lost.
it('keeps whoever comes back at any moment', async () => {
  let round = 0;
  const idle = async (): Promise<{ id: string; back: number }> => {
    await query('truncate event, person, session, workspace');
    const id = `back ${round++}`;
    const workspace = await addWorkspace(id, 30);
    await fill(workspace);
    const back = await addPerson(sut.database, workspace, 'back', daysAgo(100));
    await addPerson(sut.database, workspace, 'alias', daysAgo(100), back);
    const gone = await addPerson(sut.database, workspace, 'gone', daysAgo(100));
    await addSession(sut.database, workspace, 'again', gone);
    return { id, back };
  };
  await idle();
  const pieces = await sweepWith(-1, () => Promise.resolve());
  expect(await names('person')).toEqual([]);
  expect(pieces).toBeGreaterThan(5);
  for (let piece = 0; piece < pieces; piece++) {
    const { id } = await idle();
    // A process that has known them for long, and whoever comes back under a session of somebody else.
    const stores = storesOn(sut.database);
    await stores.append([tracked({ userId: 'alias', sessionId: 'again' }, id), tracked({ userId: 'back' }, id)]);
    await query('delete from event where person <> 0');
    await sweepWith(piece, () => stores.append([tracked({ userId: 'alias', sessionId: 'again' }, id)]));
    const [stored] = await storedEvents(stores, id);
    expect(stored, `before piece ${piece}`).toMatchObject({ person: 'alias', session: 'again' });
    const kept = await names('person');
    if (kept.includes('back')) expect(kept).toContain('alias');
    expect(await query('select from session s where not exists (select from person p where p.id = s.person)')).toEqual([]);

    const later = await idle();
    let said: unknown[] = [];
    await sweepWith(piece, async () => {
      said = await query(`update person set traits = '{"a": 1}', traits_at = now() where id = $1 returning traits`, [later.back]);
    });
    expect(await query('select traits from person where id = $1', [later.back]), `traits before piece ${piece}`).toEqual(said);
    expect(await names('person')).toEqual(said.length > 0 ? ['alias', 'back'] : []);
  }
});

// Broken by: a look through the days while the writers of a workspace are kept out.
it('looks at no day while it keeps writers out', async () => {
  const workspace = await addWorkspace('w', 30);
  await fill(workspace, 3);
  await addPerson(sut.database, workspace, 'gone', daysAgo(100));
  // One for each day in the deletion of events and in both looks, then before persons are deleted.
  const reader = await sut.database.pool.connect();
  await reader.query('begin');
  await sweepWith(9, () => reader.query(`lock table ${partitionOf(daysAgo(2))} in access exclusive mode`));
  expect((await reader.query(`select from pg_locks where relation = '${partitionOf(daysAgo(2))}'::regclass and granted`)).rowCount).toBe(1);
  await reader.query('rollback');
  reader.release();
  expect(await names('person')).toEqual([]);
});

// Broken by: a writer of one workspace who ends the sweep of all, or whose persons are not looked at again before tomorrow.
it('leaves a workspace whose writers are in the way for the next sweep', async () => {
  const [busy, quiet] = [await addWorkspace('busy', 30), await addWorkspace('quiet', 30)];
  await fill(busy);
  for (const workspace of [busy, quiet]) await addPerson(sut.database, workspace, `gone of ${workspace}`, daysAgo(100));
  const writer = await sut.database.pool.connect();
  for (const piece of [0, 3]) {
    await query('update workspace set retention_swept_on = null');
    await sweepWith(piece, async () => {
      await writer.query('begin');
      await lockWorkspacesShared(writer, [busy]);
    });
    await writer.query('rollback');
    expect(await names('person'), `from piece ${piece}`).toEqual([`gone of ${busy}`]);
    expect(await due()).toBe(2);
  }
  writer.release();
  await sut.sweep();
  expect(await names('person')).toEqual([]);
  expect(await due()).toBe(0);
});

// Broken by: a session that goes with who began it although others did something in it, or that stays with somebody who is gone.
it('gives sessions of who is gone to somebody who did something in them', async () => {
  const workspace = await addWorkspace('w', 30);
  const gone = await addPerson(sut.database, workspace, 'gone', daysAgo(100));
  const heard = await addPerson(sut.database, workspace, 'heard of', daysAgo(100));
  const shared = await addSession(sut.database, workspace, 'shared', gone);
  await addSession(sut.database, workspace, 'alone', gone);
  await addEvents(sut.database.pool, [
    { workspace, person: gone, session: shared, at: daysAgo(31), message: 'old' },
    { workspace, person: heard, session: shared, at: daysAgo(30), message: 'new' },
  ]);
  await sut.sweep();
  expect(await names('person')).toEqual(['heard of']);
  expect(await query('select name, person from session')).toEqual([{ name: 'shared', person: heard }]);
});

// Broken by: a piece that is given up when it takes long, and begun again for ever; a connection that goes back to the pool so.
it('has no limit of time for a piece', async () => {
  const [workspace] = [await addWorkspace('w', 30), await addWorkspace('other', 3650)];
  await addEvents(sut.database.pool, [{ workspace, person: 1, session: 0, at: daysAgo(40), message: 'old' }]);
  const blocker = await sut.database.pool.connect();
  await blocker.query('begin');
  await blocker.query('select from event for update');
  const strict = openDatabase({ DATABASE_URL: sut.url, DATABASE_POOL_MAX: 2, DATABASE_STATEMENT_MS_MAX: 1_500 });
  await strict.start(() => undefined);
  const deletions = sut.deletions(strict);
  deletions.start();
  const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    and query ~ '^with gone as' and now() - query_start > interval '3 s'`;
  await expect.poll(async () => (await query(waiting)).length).toBe(1);
  await blocker.query('commit');
  blocker.release();
  await expect.poll(() => messages(sut.database)).toEqual([]);
  await deletions.stop();
  const limits = await Promise.all([1, 2].map(() => strict.pool.query<object>('show statement_timeout')));
  for (const { rows } of limits) expect(rows).toEqual([{ statement_timeout: '1500ms' }]);
  await strict.stop();
});
