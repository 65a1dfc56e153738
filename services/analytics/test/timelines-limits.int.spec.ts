import { locksOfThisDatabase } from '@pca/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityDigest } from '../src/persons/identity-digest.js';
import { type TextKind, textKinds } from '../src/timelines/dictionary.js';
import { messageDigest } from '../src/timelines/rows/seen-messages.js';
import {
  identified,
  startTimelines,
  storedEvents,
  type Stores,
  type TimelinesUnderTest,
  tracked,
  type trackedEvent,
} from './timelines-under-test.js';

let timelines: TimelinesUnderTest;
let stores: Stores;

beforeAll(async () => {
  timelines = await startTimelines();
  stores = await timelines.open();
});
afterAll(() => timelines.stop());

/** Leaves room for so many more texts. */
const fill = async (workspaceId: string, kind: TextKind, room: number): Promise<number> => {
  const { number } = await stores.workspaces.get(workspaceId);
  const { number: kindNumber, max } = textKinds[kind];
  await stores.database.pool.query(
    `insert into dictionary (workspace, kind, code, text) select $1, $2, n, '{"filler": ' || n || '}' from generate_series(1, $3::int) as n`,
    [number, kindNumber, max - room],
  );
  return number;
};

/** Published by a program of the cluster, past ingest. */
const published = (event: Parameters<typeof trackedEvent>[0], workspaceId: string) => tracked(event, workspaceId, undefined, 'gateway');

const countOf = async (workspace: number, kind: TextKind): Promise<number> => {
  const { rows } = await stores.database.pool.query<{ n: number }>(
    'select count(*)::int as n from dictionary where workspace = $1 and kind = $2',
    [workspace, textKinds[kind].number],
  );
  return rows[0]!.n;
};

// Broken by: a second connection of the same pool for what is new, which the other holders of the pool may keep for as long as they like.
it('numbers what is new while the pool has one connection left', async () => {
  const { pool } = stores.database;
  const held = await Promise.all(Array.from({ length: (pool.options.max ?? 10) - 1 }, () => pool.connect()));
  try {
    const event = tracked({ userId: 'new', sessionId: 'new', event: 'new', page: '/new', messageId: 'pool' }, 'a-new-one');
    expect(await stores.append([event])).toEqual([{ is: 'handled' }]);
  } finally {
    for (const client of held) client.release();
  }
  expect(await storedEvents(stores, 'a-new-one')).toHaveLength(1);
});

describe('a full dictionary', () => {
  // Broken by: a limit that is not asked, known names that are refused with the new ones, a batch that fails because of one name.
  it('refuses new names of events and takes known ones', async () => {
    const workspace = await fill('names', 'name', 2);
    const names = ['a', 'b', 'c', 'a', 'd'];
    const outcomes = await stores.append(names.map((event) => published({ event, messageId: `${event}1` }, 'names')));
    expect(outcomes.map(({ is }) => is)).toEqual(['handled', 'handled', 'deadLettered', 'handled', 'deadLettered']);
    expect(outcomes[2]).toMatchObject({ reason: expect.stringContaining('10000 event names') as string });
    expect(await stores.dictionary.admitEventNames({ number: workspace, textsFreed: 0 }, ['a', 'b', 'c', 'e'])).toEqual(
      new Set(['a', 'b']),
    );
    expect(await countOf(workspace, 'name')).toBe(textKinds.name.max);
    // Redriven when there is room, it is no repeat.
    const { rows } = await stores.database.pool.query('select from seen_message where digest = $1', [messageDigest(workspace, 'c1')]);
    expect(rows).toEqual([]);
    expect((await storedEvents(stores, 'names')).map(({ event }) => event)).toEqual(['a', 'b']);
  });

  // Broken by: a limit that is not asked, or a refused event whose name takes one of the workspace's places for good.
  it('takes no name of an event that is refused for its size', async () => {
    const { number } = await stores.workspaces.get('bulky');
    const bulky = tracked({ event: 'refused', properties: { text: 'x'.repeat(70_000) } }, 'bulky');
    expect(await stores.append([bulky, tracked({ event: 'taken' }, 'bulky')])).toMatchObject([
      { is: 'deadLettered', reason: 'The properties take more than 65536 bytes' },
      { is: 'handled' },
    ]);
    expect((await storedEvents(stores, 'bulky')).map(({ event }) => event)).toEqual(['taken']);
    expect(await countOf(number, 'name')).toBe(1);
  });

  // Broken by: one limit for a client's names and for what is counted in every workspace; more room for all names of a call that holds one.
  it('still counts page views and sessions', async () => {
    const workspace = await fill('full', 'name', 0);
    const names = ['new', 'page', 'newer', '$session_start'];
    expect(await stores.dictionary.admitEventNames({ number: workspace, textsFreed: 0 }, names)).toEqual(
      new Set(['page', '$session_start']),
    );
    await stores.append(names.map((event) => published({ event, messageId: event }, 'full')));
    expect((await storedEvents(stores, 'full')).map(({ event }) => event).toSorted()).toEqual(['$session_start', 'page']);
    expect(await countOf(workspace, 'name')).toBe(textKinds.name.max + 2);
  });

  // Broken by: a workspace that fills up by another one's names, a flood that is asked for one by one.
  it('takes no flood of names over the limit, and none of another workspace', { timeout: 120_000 }, async () => {
    const workspace = await fill('flood', 'name', 100);
    for (let i = 0; i < 10; i += 1)
      await stores.append(Array.from({ length: 1_000 }, (_, n) => published({ event: `flood ${i} ${n}` }, 'flood')));
    expect(await countOf(workspace, 'name')).toBe(textKinds.name.max);
    expect(await storedEvents(stores, 'flood')).toHaveLength(100);
    await stores.append([tracked({ event: 'flood 9 9' }, 'dry')]);
    expect(await storedEvents(stores, 'dry')).toHaveLength(1);
  });

  // Broken by: a page that is lost, stand-ins for which there is no room either, properties that lose what else is in them.
  it('keeps pages, resources and contexts among the properties, and something coarser in their place', async () => {
    for (const kind of ['page', 'resource', 'context'] as const) await fill('coarse', kind, 1);
    const context = { device: 'mobile' as const, browser: 'Firefox', os: 'Android' };
    const event = (n: number) => ({
      messageId: `m${n}`,
      page: `/p${n}`,
      resource: `r${n}`,
      timestamp: new Date(Date.now() + n).toISOString(),
    });
    const given = { $context: { screen: 'wide' }, k: 1 };
    await stores.append([
      tracked({ ...event(1), properties: given, context: { ...context, utmCampaign: 'c1' } }, 'coarse'),
      tracked({ ...event(2), properties: given, context: { ...context, utmCampaign: 'c2', ip: '10.0' } }, 'coarse'),
      tracked({ ...event(3), page: '/p1', properties: {}, context }, 'coarse'),
    ]);
    const [first, second, third] = await storedEvents(stores, 'coarse');
    expect(first).toMatchObject({ page: '/p1', resource: 'r1', context: { ...context, utmCampaign: 'c1' }, properties: given });
    expect(second).toMatchObject({ page: '(other)', resource: '(other)', context });
    expect(second?.properties).toEqual({
      k: 1,
      $page: '/p2',
      $resource: 'r2',
      $ip: '10.0',
      $context: { screen: 'wide', utmCampaign: 'c2' },
    });
    expect(third).toMatchObject({ page: '/p1', resource: '(other)', context, properties: { $resource: 'r3' } });
  });

  // Broken by: values without the names that belong to them.
  it('keeps properties whole when their shape has no code', async () => {
    const workspace = await fill('shapes', 'shape', 1);
    const properties = { b: 2, a: [null, { c: 'x' }] };
    await stores.append([tracked({ properties: { first: 1 } }, 'shapes'), tracked({ properties }, 'shapes')]);
    await stores.append([
      tracked({ properties: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`key number ${i}`, i])) }, 'bombs'),
    ]);
    expect((await storedEvents(stores, 'shapes')).map((row) => row.properties)).toEqual([{ first: 1 }, properties]);
    expect(await countOf(workspace, 'shape')).toBe(textKinds.shape.max);
    // So many names are hardly ever seen again.
    expect(await countOf((await stores.workspaces.get('bombs')).number, 'shape')).toBe(0);
    expect(Object.keys((await storedEvents(stores, 'bombs'))[0]!.properties)).toHaveLength(200);
  });
});

describe('bad input from the bus', () => {
  // Broken by: a NUL or half a surrogate that fails the batch, or that a query stumbles over later.
  it('makes characters harmless that Postgres does not store', async () => {
    const bad = 'a\0b\ud800c';
    const good = 'a\ufffdb\ufffdc';
    const ids = { messageId: bad, userId: bad, sessionId: bad };
    const texts = { event: bad, page: bad, resource: bad, context: { browser: bad, utmCampaign: bad } };
    const properties = { [bad]: bad, list: [bad, { [bad]: 1 }], harmless: String.raw`\u0000` };
    await stores.append([tracked({ ...ids, ...texts, properties }, 'bad')]);
    await stores.identify([identified({ userId: bad, anonymousId: bad, previousId: bad, traits: { [bad]: bad } }, 'bad')]);
    const expected = {
      ...{ messageId: good, person: good, session: good, event: good, page: good, resource: good },
      context: { browser: good, utmCampaign: good },
      properties: { [good]: good, list: [good, { [good]: 1 }], harmless: String.raw`\u0000` },
    };
    expect(await storedEvents(stores, 'bad')).toMatchObject([expected]);
    const { rows } = await stores.database.pool.query(
      `select properties::json ->> 1 as list, d.text::json ->> 'utmCampaign' as campaign from event e
       join workspace w on w.number = e.workspace join dictionary d on d.workspace = e.workspace and d.kind = 4 where w.id = 'bad'`,
    );
    expect(rows).toHaveLength(1);
    const workspace = await stores.workspaces.get('bad');
    expect(await stores.dictionary.admitEventNames(workspace, [bad, 'fine'])).toEqual(new Set([bad, 'fine']));
  });

  // Broken by: a text cut in the middle of a character, a long page that is lost, an index row that is too large.
  it('cuts what is too long for the dictionary, and keeps it whole', async () => {
    const page = `/${'😀'.repeat(1_000)}`;
    await stores.append([tracked({ page, resource: 'r'.repeat(513), properties: {} }, 'long')]);
    const [stored] = await storedEvents(stores, 'long');
    expect(stored?.page).toBe(`/${'😀'.repeat(255)}\ufffd`);
    expect(stored?.resource).toBe('r'.repeat(512));
    expect(stored?.properties).toEqual({ $page: page, $resource: 'r'.repeat(513) });
  });

  // Broken by: properties that no query can read, and a batch that fails because of one event.
  it('refuses what nests too deep and what is too large, and stores the rest', async () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    const outcomes = await stores.append([
      tracked({ properties: { a: nested(63) }, messageId: 'deep' }, 'large'),
      tracked({ properties: { a: nested(5_000) } }, 'large'),
      tracked({ properties: { a: 'é'.repeat(32_760) }, messageId: 'large' }, 'large'),
      tracked({ properties: { a: 'é'.repeat(40_000) } }, 'large'),
    ]);
    expect(outcomes.map(({ is }) => is)).toEqual(['handled', 'deadLettered', 'handled', 'deadLettered']);
    expect((await storedEvents(stores, 'large')).map(({ messageId }) => messageId).sort()).toEqual(['deep', 'large']);
    const { rows } = await stores.database.pool.query(`select properties::json -> 0 as value from event e join workspace w
      on w.number = e.workspace where w.id = 'large'`);
    expect(rows).toHaveLength(2);
    const [deep] = await stores.identify([identified({ userId: 'u', traits: { a: nested(5_000) } }, 'large')]);
    expect(deep).toMatchObject({ is: 'deadLettered' });
  });
});

describe('somebody who was erased', () => {
  const erase = async (workspaceId: string, isKnown: boolean, id: string, erasedAt: Date): Promise<void> => {
    const workspace = await stores.workspaces.get(workspaceId);
    const { pool } = stores.database;
    await pool.query(`insert into tombstone (workspace, digest, erased_at, erasure) values ($1, $2, $3, gen_random_uuid())`, [
      workspace.number,
      identityDigest(workspace, isKnown, id),
      erasedAt,
    ]);
    await pool.query('delete from person where workspace = $1 and external_id = $2', [workspace.number, id]);
    await pool.query('delete from session where workspace = $1', [workspace.number]);
    await pool.query('update workspace set erasures = erasures + 1 where number = $1', [workspace.number]);
  };

  // Broken by: a tombstone of one kind of id taken for the other, a replay that brings somebody back, a person who may never return.
  it('does not come back by what happened or was received before', async () => {
    const erasedAt = new Date(Date.now() - 60_000);
    const [sooner, later] = [new Date(erasedAt.getTime() - 1), new Date(erasedAt.getTime() + 1)];
    const event = (messageId: string, at: Date, receivedAt: Date, ids: object) =>
      tracked({ messageId, timestamp: at.toISOString(), userId: null, anonymousId: null, ...ids }, 'erased', receivedAt);
    await erase('erased', true, 'ada', erasedAt);
    await erase('erased', false, 'a1', erasedAt);
    const outcomes = await stores.append([
      event('happened before', sooner, later, { userId: 'ada' }),
      event('received before', later, sooner, { userId: 'ada' }),
      event('at the moment', later, erasedAt, { anonymousId: 'a1' }),
      event('by the other id', sooner, sooner, { userId: 'bob', anonymousId: 'a1' }),
      event('after', later, later, { userId: 'ada', anonymousId: 'a1' }),
      event('namesake', sooner, sooner, { anonymousId: 'ada' }),
      event('somebody else', sooner, sooner, { userId: 'bob' }),
    ]);
    expect(outcomes.every(({ is }) => is === 'handled')).toBe(true);
    const stored = (await storedEvents(stores, 'erased')).map(({ messageId }) => messageId);
    expect(stored.sort()).toEqual(['after', 'namesake', 'somebody else']);
    await erase('erased', true, 'ann', erasedAt);
    await stores.identify([
      identified({ userId: 'ann', timestamp: sooner.toISOString(), traits: { name: 'Ann' } }, 'erased', later),
      identified({ userId: 'bob', previousId: 'ann', timestamp: later.toISOString() }, 'erased', sooner),
    ]);
    const { rows } = await stores.database.pool.query(`select from person where external_id = 'ann'`);
    expect(rows).toEqual([]);
  });

  // Broken by: numbers remembered from before the erasure, under which events would belong to nobody.
  it('is a new person when they return', async () => {
    const event = () => tracked({ userId: 'returning', sessionId: 'the same' }, 'returns');
    await stores.append([event()]);
    await erase('returns', true, 'returning', new Date(Date.now() - 60_000));
    await stores.append([event()]);
    const { rows } = await stores.database.pool.query<{ person: number; session: number }>(
      `select p.id as person, s.id as session from person p join session s on s.person = p.id join workspace w on w.number = p.workspace
       join event e on e.person = p.id and e.session = s.id where w.id = 'returns'`,
    );
    expect(rows).toHaveLength(1);
  });

  // Broken by: a writer that does not wait for an erasure under way, or reads what it says from before.
  it('waits for an erasure under way', async () => {
    const { number } = await stores.workspaces.get('waits');
    await stores.append([tracked({ userId: 'w' }, 'waits')]);
    const eraser = await stores.database.pool.connect();
    await eraser.query('begin');
    await eraser.query('select pg_advisory_xact_lock($1, $2)', [0x70636177, number]);
    const writing = stores.append([tracked({ userId: 'w' }, 'waits', new Date(Date.now() - 120_000))]);
    await expect
      .poll(
        async () =>
          (await stores.database.pool.query(`select from ${locksOfThisDatabase} and locktype = 'advisory' and not granted`)).rowCount,
      )
      .toBe(1);
    await eraser.query('delete from person where workspace = $1', [number]);
    await eraser.query('insert into tombstone (workspace, digest, erased_at, erasure) values ($1, $2, now(), gen_random_uuid())', [
      number,
      identityDigest(await stores.workspaces.get('waits'), true, 'w'),
    ]);
    await eraser.query('update workspace set erasures = erasures + 1 where number = $1', [number]);
    await eraser.query('commit');
    eraser.release();
    await writing;
    const { rows } = await stores.database.pool.query('select from person where workspace = $1', [number]);
    expect(rows).toEqual([]);
  });
});
