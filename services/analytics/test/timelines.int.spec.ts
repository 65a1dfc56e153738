import { type Outcome, handled } from '@pca/event-bus';
import { seededRandom } from '@pca/testing';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dayMs, messageDigest, SeenSweep } from '../src/timelines/rows/seen-messages.js';
import { startTimelines, storedEvents, type Stores, type TimelinesUnderTest, tracked } from './timelines-under-test.js';

let timelines: TimelinesUnderTest;
let stores: Stores;

beforeAll(async () => {
  timelines = await startTimelines();
  stores = await timelines.open();
});
afterAll(() => timelines.stop());

const isHandled = (outcomes: readonly Outcome[]): boolean => outcomes.every(({ is }) => is === 'handled');
const before = (ms: number): string => new Date(Date.now() - ms).toISOString();

describe('a row', () => {
  // Broken by: a column written in another one's place, a text whose code is another one's.
  it('keeps everything of an event', async () => {
    const timestamp = new Date().toISOString();
    const messageId = '0190f6e2-7c1d-7a11-8f00-aa55cc33ee01';
    const context = { utmCampaign: 'été', device: 'tv' as const, ip: '10.0' };
    const event = tracked({ messageId, timestamp, sessionId: 's1', resource: 'S-1', isBot: true, context });
    expect(await stores.append([event])).toEqual([handled]);
    expect(await storedEvents(stores)).toEqual([
      {
        at: new Date(timestamp),
        messageId,
        person: 'ada',
        isKnown: true,
        session: 's1',
        event: 'product viewed',
        page: '/shoes',
        resource: 'S-1',
        context: { device: 'tv', utmCampaign: 'été' },
        isBot: true,
        properties: { sku: 'S-1', price: 19.99, $ip: '10.0' },
      },
    ]);
  });

  // Broken by: null coded as a text, an event of no property that cannot be told from one of a full dictionary.
  it('keeps what is not there as nothing', async () => {
    await stores.append([tracked({ userId: null, anonymousId: 'a', page: null, context: {}, properties: {}, messageId: 'm' }, 'bare')]);
    expect(await storedEvents(stores, 'bare')).toMatchObject([
      { messageId: 'm', person: 'a', isKnown: false, session: null, page: null, resource: null, context: null, properties: {} },
    ]);
  });

  // Broken by: a dictionary that hands out one code twice, batches that mix up their rows, an address in the dictionary.
  it('comes back as it came, for random events of several workspaces', async () => {
    const random = seededRandom('timeline rows');
    const text = (): string =>
      random.pick(['', 'a', 'é', '😀', '"', '\\', '\n', '\t', '\\N', 'null', '{}', "o'", '__proto__', '0']) + random.int(3);
    const value = (): unknown => random.pick([text(), random.int(9), -1.5e-7, null, true, [text(), { [text()]: [] }], {}]);
    const given = Array.from({ length: 300 }, () => {
      const keys = Array.from({ length: random.int(4) }, text);
      const event = {
        messageId: random.int(2) === 0 ? uuidv7() : `${text()}-${random.int(1e9)}`,
        timestamp: before(random.int(3 * dayMs)),
        userId: random.int(2) === 0 ? null : text(),
        anonymousId: text(),
        event: text(),
        sessionId: random.int(2) === 0 ? null : text(),
        page: random.int(3) === 0 ? null : text(),
        resource: random.int(3) === 0 ? null : text(),
        properties: Object.fromEntries(keys.map((key) => [key, value()])),
        isBot: random.int(2) === 0,
      };
      return { workspace: `random-${random.int(3)}`, event };
    });
    for (let i = 0; i < given.length; i += 100)
      await stores.append(given.slice(i, i + 100).map(({ workspace, event }) => tracked(event, workspace)));
    for (const workspace of ['random-0', 'random-1', 'random-2']) {
      const stored = new Map((await storedEvents(stores, workspace)).map((row) => [row.messageId, row]));
      const expected = given.filter((each) => each.workspace === workspace).map(({ event }) => event);
      expect(stored.size).toBe(expected.length);
      for (const { messageId, timestamp, userId, anonymousId, sessionId, ...rest } of expected) {
        const { at, person, isKnown, session, ...row } = stored.get(messageId)!;
        expect({ at: at.toISOString(), person, isKnown, session }).toEqual({
          at: timestamp,
          person: userId ?? anonymousId,
          isKnown: userId !== null,
          session: sessionId,
        });
        expect(row).toMatchObject({ ...rest, page: rest.page, resource: rest.resource });
        expect(row.properties).toEqual(rest.properties);
      }
    }
  });
});

describe('once', () => {
  // Broken by: deduplication on content or within a day, repeats within a batch, digests without their workspace.
  it('counts a messageId, however often, whenever and in whatever batch it comes', async () => {
    const first = tracked({ messageId: 'm1' }, 'once');
    expect(isHandled(await stores.append([first, first, tracked({ messageId: 'm2' }, 'once')]))).toBe(true);
    expect(isHandled(await stores.append([tracked({ messageId: 'm1', timestamp: before(2 * dayMs), event: 'other' }, 'once')]))).toBe(true);
    await stores.append([tracked({ messageId: 'm1' }, 'once-elsewhere')]);
    expect((await storedEvents(stores, 'once')).map(({ messageId, event }) => [messageId, event])).toEqual([
      ['m1', 'product viewed'],
      ['m2', 'product viewed'],
    ]);
    expect(await storedEvents(stores, 'once-elsewhere')).toHaveLength(1);
  });

  // Broken by: a digest that outlives a transaction that failed, rows that do.
  it('counts what a transaction lost that was undone', async () => {
    const event = tracked({ messageId: 'undone', userId: 'undone' }, 'undone');
    const undone = stores.database.transaction(async (transaction) => {
      await stores.timelines.append(transaction, [event]);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    expect(await storedEvents(stores, 'undone')).toEqual([]);
    await stores.append([event]);
    expect(await storedEvents(stores, 'undone')).toHaveLength(1);
  });

  // Broken by: digests looked up before they are inserted, batches that wait for each other in a circle, codes that two processes give out.
  it('counts once what several processes store at the same time', { timeout: 120_000 }, async () => {
    const random = seededRandom('overlapping batches');
    const processes = [stores, await timelines.open(), await timelines.open()];
    const ids = Array.from({ length: 400 }, () => uuidv7());
    // A repeat is the same event, so that whichever is first is right.
    const eventOf = (messageId: string) => {
      const n = ids.indexOf(messageId);
      return {
        messageId,
        event: `e${n % 7}`,
        page: `/p${n % 60}`,
        sessionId: `s${n % 50}`,
        userId: `u${n % 40}`,
        properties: { [`k${n % 9}`]: n },
      };
    };
    const batch = () => Array.from({ length: 200 }, () => tracked(eventOf(random.pick(ids)), 'rush'));
    await Promise.all(
      processes
        .flatMap((each) => [each, each])
        .map(async (each) => {
          for (let i = 0; i < 4; i += 1) await each.append(batch());
        }),
    );
    await stores.append(ids.map((messageId) => tracked(eventOf(messageId), 'rush')));
    const stored = await storedEvents(stores, 'rush');
    expect(stored.map(({ messageId }) => messageId).sort()).toEqual([...ids].sort());
    for (const { messageId, event, page, session, properties, person } of stored)
      expect({ messageId, event, page, sessionId: session, userId: person, properties }).toEqual(eventOf(messageId));
    const { rows } = await stores.database.pool.query<{ gaps: number }>(
      `select count(*)::int as gaps from (select max(code) - count(*) as gap from dictionary group by workspace, kind) as g where gap <> 0`,
    );
    expect(rows).toEqual([{ gaps: 0 }]);
  });

  // Broken by: a sweep that forgets too early, never, or stops before the end of the table.
  it('remembers a messageId for 30 days, and not for ever', async () => {
    const { number } = await stores.workspaces.get('swept');
    const today = Math.floor(Date.now() / dayMs);
    const digests = ['old', 'older', 'young'].map((id) => messageDigest(number, id).toString());
    await stores.database.pool.query('insert into seen_message select * from unnest($1::bigint[], $2::int[])', [
      digests,
      [today - 31, today - 400, today - 30],
    ]);
    expect(await new SeenSweep(stores.database.pool).work(new Date())).toBe(2);
    await stores.append(['old', 'older', 'young'].map((messageId) => tracked({ messageId }, 'swept')));
    expect((await storedEvents(stores, 'swept')).map(({ messageId }) => messageId).sort()).toEqual(['old', 'older']);
  });
});

describe('time', () => {
  // Broken by: rows in the order of arrival, a day without a partition, ties broken by anything else.
  it('takes late events, in any order, up to the retention', async () => {
    const receivedAt = new Date();
    const at = before(5 * dayMs);
    const event = (messageId: string, timestamp: string, received = receivedAt) => tracked({ messageId, timestamp }, 'late', received);
    const earlier = new Date(receivedAt.getTime() - 1_000);
    await stores.append([event('now', before(0)), event('tie b', at), event('oldest', before(3_649 * dayMs)), event('tie a', at)]);
    await stores.append([event('tie first', at, earlier), event('before', before(6 * dayMs))]);
    const stored = await storedEvents(stores, 'late');
    expect(stored.map(({ messageId }) => messageId)).toEqual(['oldest', 'before', 'tie first', 'tie a', 'tie b', 'now']);
  });

  // Broken by: a partition for 2100, a batch that fails because one of its events is from 1970, a digest kept of what was refused.
  it('refuses what is older than is kept, and what is of the future, and keeps nothing of it', async () => {
    const ahead = new Date(Date.now() + 2 * dayMs).toISOString();
    const wrong = ['1970-01-01T00:00:00Z', '2100-01-01T00:00:00Z', ahead, before(3_651 * dayMs)];
    const batch = wrong.map((timestamp, i) => tracked({ messageId: `w${i}`, timestamp, event: `wrong ${i}` }, 'when'));
    const outcomes = await stores.append([...batch, tracked({ messageId: 'right' }, 'when')]);
    expect(outcomes.map(({ is }) => is)).toEqual(['deadLettered', 'deadLettered', 'deadLettered', 'deadLettered', 'handled']);
    expect(await storedEvents(stores, 'when')).toHaveLength(1);
    await stores.append([tracked({ messageId: 'w0' }, 'when')]);
    expect(await storedEvents(stores, 'when')).toHaveLength(2);
  });

  // Broken by: `create table` that fails when another process was faster, a batch that waits for ever behind it.
  it('makes the same partitions in two processes at once', async () => {
    const processes = await Promise.all([timelines.open(), timelines.open()]);
    const days = Array.from({ length: 70 }, (_, i) => before((100 + i) * dayMs));
    await Promise.all(
      processes.map((each, p) => each.append(days.map((timestamp, i) => tracked({ timestamp, messageId: `${p}-${i}` }, 'days')))),
    );
    expect(await storedEvents(stores, 'days')).toHaveLength(140);
  });

  // Broken by: a process that believes in a partition for ever, of which another one has got rid.
  it('gets over a partition that was dropped', async () => {
    const timestamp = before(300 * dayMs);
    await stores.append([tracked({ timestamp }, 'dropped')]);
    const table = `event_${timestamp.slice(0, 10).replaceAll('-', '')}`;
    await stores.database.pool.query(`alter table event detach partition ${table}; drop table ${table}`);
    await expect(stores.append([tracked({ timestamp }, 'dropped')])).rejects.toThrow('no partition');
    await stores.append([tracked({ timestamp }, 'dropped')]);
    expect(await storedEvents(stores, 'dropped')).toHaveLength(1);
  });
});
