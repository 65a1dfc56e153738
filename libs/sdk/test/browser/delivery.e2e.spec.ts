import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { requiresChromium } from '@pca/testing';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ReceivedBatch } from '../protocol-server.js';
import { type SdkUnderTest, startSdk } from './browser-harness.js';

const never = 3_600_000;

describe.skipIf(!requiresChromium())('a queue in a browser', () => {
  let sut: SdkUnderTest;

  beforeAll(async () => {
    sut = await startSdk();
  });
  afterAll(() => sut?.stop());
  afterEach(() => sut.reset());

  const track = (page: Page, names: string[]): Promise<(string | undefined)[]> =>
    page.evaluate((all) => Promise.all(all.map((name) => window.client.track(name))), names);
  const stored = (page: Page): Promise<string[]> =>
    page.evaluate(() =>
      Object.keys(localStorage)
        .filter((key) => key.includes(':e:'))
        .map((key) => key.split(':e:')[1]!)
        .sort(),
    );
  const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${name}-${index}`);
  const batchesOf = (key: string): ReceivedBatch[] => sut.server.batches.filter(({ writeKey }) => writeKey === key);
  const down = (key: string): void => {
    sut.server.reply = ({ writeKey }) => (writeKey === key ? { status: 503 } : { status: 202 });
  };

  // Broken by: a preflight (a request that is not CORS-simple), credentials, an order that is not the one of the calls.
  it('sends without a question beforehand', async () => {
    const page = await sut.open('plain');
    const ids = await track(page, numbered('event', 250));
    await expect.poll(() => sut.server.ids('plain')).toEqual(ids);
    expect(sut.server.names('plain')).toEqual(numbered('event', 250));
    expect(new Set(sut.server.methods)).toEqual(new Set(['POST']));
    const [batch] = batchesOf('plain');
    expect(batch!.headers).toMatchObject({ 'content-type': 'text/plain' });
    expect(batch!.headers).not.toHaveProperty('cookie');
    expect(Math.max(...batchesOf('plain').map((each) => each.batch.length))).toBe(100);
    await expect.poll(() => stored(page)).toEqual([]);
  });

  // Broken by: events that are given up while there is no network, or a back-off that sleeps on when it is back.
  it('waits while the browser is offline and goes on when it is online', async () => {
    const page = await sut.open('offline');
    await sut.browser.context.setOffline(true);
    const ids = await track(page, numbered('offline', 3));
    // After so many failures the next try is half a minute away at least: whoever waits for that comes too late here.
    for (let tries = 0; tries < 7; tries++) expect(await page.evaluate(() => window.client.flush())).toBe(false);
    expect(await stored(page)).toEqual(ids);
    await sut.browser.context.setOffline(false);
    await expect.poll(() => sut.server.ids('offline'), { timeout: 20_000 }).toEqual(ids);
    await expect.poll(() => stored(page)).toEqual([]);
  });

  // Broken by: a queue that lives in the page.
  it('survives a reload with a full queue', async () => {
    down('reload');
    const page = await sut.open('reload');
    const ids = await track(page, numbered('reload', 300));
    await page.reload();
    expect(await stored(page)).toEqual(ids);
    expect(sut.server.ids('reload')).toEqual([]);
    sut.server.reply = undefined;
    await page.reload();
    // What the page before handed over may come between what this one sends.
    await expect.poll(() => sut.server.ids('reload').sort()).toEqual(ids);
    await expect.poll(() => stored(page)).toEqual([]);
  });

  // Broken by: the last events of a visit that only the next visit sends; an event removed without an answer; one counted twice.
  it('hands its events over when the tab closes, keeps them until an answer says so, and sends the same ids again', async () => {
    const page = await sut.open('close', { flushIntervalMs: never });
    const ids = await track(page, numbered('close', 5));
    await page.close({ runBeforeUnload: true });
    await expect.poll(() => sut.server.ids('close')).toEqual(ids);
    const next = await sut.open('close', { flushIntervalMs: 20 });
    await expect.poll(() => stored(next)).toEqual([]);
    expect(sut.server.ids('close')).toEqual(ids);
  });

  // Broken by: a request that the browser refuses because it is over 64 kB, and a queue that waits for its answer ever after.
  it('hands over 60 kB at most when hidden, and sends the rest as ever, though nobody answered', async () => {
    sut.server.reply = ({ writeKey }) => (writeKey === 'beacon' ? 'hang' : { status: 202 });
    const page = await sut.open('beacon', { flushIntervalMs: never });
    const ids = await page.evaluate(() =>
      Promise.all(Array.from({ length: 30 }, () => window.client.track('large', { text: 'x'.repeat(9_000) }))),
    );
    const outlives = await page.evaluate(() => {
      const { fetch } = window;
      const asked: unknown[] = [];
      window.fetch = (url, init) => (asked.push(init?.keepalive), fetch(url, init));
      window.dispatchEvent(new Event('pagehide'));
      window.fetch = fetch;
      return asked;
    });
    expect(outlives).toEqual([true]);
    await expect.poll(() => batchesOf('beacon')).toHaveLength(1);
    const [handedOver] = batchesOf('beacon') as [ReceivedBatch];
    expect(handedOver.bytes).toBeLessThanOrEqual(60_000);
    expect(handedOver.batch.map(({ messageId }) => messageId)).toEqual(ids.slice(0, 6));
    expect(await stored(page)).toEqual(ids);
    sut.server.reply = undefined;
    expect(await page.evaluate(() => window.client.flush())).toBe(true);
    expect(sut.server.ids('beacon')).toEqual(ids);
    expect(await stored(page)).toEqual([]);
  });

  // Broken by: a page that is only hidden and hears the answer, but sends all of it again.
  it('takes the answer to what it handed over, while it is there to hear it', async () => {
    const page = await sut.open('hidden', { flushIntervalMs: never });
    const ids = await track(page, numbered('hidden', 3));
    const hide = (): Promise<boolean> => page.evaluate(() => window.dispatchEvent(new Event('pagehide')));
    down('hidden');
    await hide();
    await expect.poll(() => batchesOf('hidden')).toHaveLength(1);
    sut.server.reply = undefined;
    // Going away is told twice, by visibilitychange and pagehide, and is one occasion until the page is seen again.
    await hide();
    expect(await stored(page)).toEqual(ids);
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await hide();
    await expect.poll(() => stored(page)).toEqual([]);
    expect(sut.server.ids('hidden')).toEqual(ids);
    expect(batchesOf('hidden')).toHaveLength(2);
  });

  // Broken by: a queue of one tab that nobody sends when it is gone, tabs that write over each other's, or that all send at once.
  it('is one queue of all tabs: each event once, of one person in one session, whoever is left sends it', async () => {
    let [calls, atOnce, atOnceMax] = [0, 0, 0];
    sut.server.reply = async ({ writeKey }) => {
      if (writeKey !== 'tabs') return { status: 202 };
      atOnceMax = Math.max(atOnceMax, ++atOnce);
      await setTimeout(30);
      atOnce--;
      return { status: 202 };
    };
    const first = await sut.open('tabs');
    const before = await track(first, ['before']);
    const second = await sut.open('tabs', { flushIntervalMs: never });
    const both = [first, second];
    const some = await Promise.all(both.map((page) => track(page, numbered('some', 90))));
    expect(await Promise.all(both.map((page) => page.evaluate(() => window.client.flush())))).toEqual([true, true]);
    expect(atOnceMax).toBe(1);
    sut.server.reply = () => ({ status: calls++ % 3 === 0 ? 503 : 202 });
    const many = await Promise.all(both.map((page) => track(page, numbered('many', 300))));
    const ids = new Set([...before, ...some.flat(), ...many.flat()]);
    await expect.poll(() => new Set(sut.server.ids('tabs'))).toEqual(ids);
    const events = sut.server.ids('tabs').map((id) => sut.server.taken.get(id)!);
    expect(new Set(events.map(({ anonymousId }) => anonymousId)).size).toBe(1);
    expect(new Set(events.map(({ sessionId }) => sessionId)).size).toBe(1);
    // A tab that dies while the server is away leaves its events to the other.
    down('tabs');
    const third = await sut.open('tabs');
    const left = await track(third, numbered('third', 20));
    await third.close();
    expect(sut.server.ids('tabs')).not.toContain(left[0]);
    sut.server.reply = undefined;
    await track(first, ['after']);
    await expect.poll(() => left.filter((id) => !sut.server.taken.has(id!))).toEqual([]);
    await expect.poll(() => stored(first)).toEqual([]);
  });

  // Broken by: a back-off of each tab by itself, so that a server that is away has as many tries as there are tabs.
  it('is tried again by one tab for all', async () => {
    down('turns');
    const tries = (): number => batchesOf('turns').length;
    // Time goes on by the steps of the test alone: no timer fires because the machine is slow.
    const context = await sut.browser.context.browser()!.newContext();
    await context.clock.install({ time: new Date('2026-01-01T00:00:00Z') });
    await context.clock.pauseAt(new Date('2026-01-01T00:00:01Z'));
    const first = await sut.open('turns', { flushIntervalMs: never }, { context });
    // Tabs opened by the site share its process, and so see at once what the others store.
    for (let tab = 1; tab < 3; tab++)
      await Promise.all([context.waitForEvent('page'), first.evaluate((url) => void window.open(url), first.url())]);
    const pages = context.pages();
    for (const page of pages) await page.waitForFunction(() => window.client);
    /** Each tab sends under a lock that it asks for before it answers here: when there is none, all that their timers began is over. */
    const pass = async (ms: number): Promise<void> => {
      await context.clock.runFor(ms);
      const locks = (page: Page): Promise<number> =>
        page.evaluate(() => navigator.locks.query().then(({ held = [], pending = [] }) => held.length + pending.length));
      await expect.poll(() => Promise.all(pages.map(locks))).toEqual([0, 0, 0]);
    };
    const ids = await track(first, ['waits']);
    for (const page of pages) expect(await page.evaluate(() => window.client.flush())).toBe(false);
    expect(tries()).toBe(3);
    // The third failure in a row asks for 2 to 4 seconds, the first one of a tab for 1 at most.
    await pass(1_900);
    expect(tries()).toBe(3);
    // Then one tries, and the others find what became of it: the fourth failure asks for 4 to 8 seconds.
    await pass(2_200);
    expect(tries()).toBe(4);
    sut.server.reply = undefined;
    await pass(8_100);
    expect(sut.server.ids('turns')).toEqual(ids);
    for (const page of pages) expect(await page.evaluate(() => window.client.flush())).toBe(true);
    expect(tries()).toBe(5);
    await context.close();
  });

  // Broken by: a size that reads all events that wait each time that one is added.
  it('knows its size without reading what waits', async () => {
    down('size');
    const page = await sut.open('size', { flushIntervalMs: never });
    await track(page, numbered('before', 200));
    const read = await page.evaluate(async () => {
      const original = Storage.prototype.getItem;
      let reads = 0;
      Storage.prototype.getItem = function (key) {
        if (key.includes(':e:')) reads++;
        return original.call(this, key);
      };
      await Promise.all(Array.from({ length: 50 }, () => window.client.track('counted')));
      Storage.prototype.getItem = original;
      return reads;
    });
    expect(read).toBe(0);
    await page.evaluate(() => window.client.optOut());
  });

  // Broken by: a lock that is only there on secure pages, or crypto.randomUUID, which is so too.
  it('works on a page without https, where two tabs may send the same event, which counts once', async () => {
    const [first, second] = [
      await sut.open('insecure', {}, { host: 'plain.test' }),
      await sut.open('insecure', {}, { host: 'plain.test' }),
    ];
    expect(await first.evaluate(() => [isSecureContext, 'locks' in navigator])).toEqual([false, false]);
    const ids = await Promise.all([track(first, numbered('first', 50)), track(second, numbered('second', 50))]);
    await expect.poll(() => new Set(sut.server.ids('insecure'))).toEqual(new Set(ids.flat()));
    await expect.poll(() => stored(first)).toEqual([]);
  });

  // Broken by: an exception of localStorage that reaches the site, or an event that is lost where there is no room.
  it('goes on in memory when localStorage is full, and says so once', async () => {
    const page = await sut.open('quota', { flushIntervalMs: never });
    await page.evaluate(() => {
      for (let size = 4_000_000; size >= 1;) {
        try {
          localStorage.setItem(`filling-${size}-${Math.random()}`, 'x'.repeat(size));
        } catch {
          size = Math.floor(size / 2);
        }
      }
    });
    const ids = await track(page, numbered('quota', 150));
    expect(await stored(page)).toEqual([]);
    await expect.poll(() => sut.server.ids('quota')).toEqual(ids);
    expect(await page.evaluate(() => window.errors)).toMatchObject([{ code: 'STORAGE_FAILED', message: expect.stringMatching(/quota/i) }]);
  });

  // Broken by: a frame of another site, in which localStorage and locks throw.
  it('works where localStorage and locks are forbidden', async () => {
    const page = await sut.browser.context.newPage();
    await page.goto(sut.site.url('framing.localhost'));
    await page.evaluate(
      (address) => {
        const frame = document.createElement('iframe');
        frame.sandbox.add('allow-scripts');
        frame.src = address;
        document.body.append(frame);
      },
      sut.site.url('framed.localhost', sut.optionsOf('framed')),
    );
    await expect.poll(() => page.frames().length).toBe(2);
    const frame = page.frames()[1]!;
    await frame.waitForFunction(() => window.client);
    const ids = await frame.evaluate(() =>
      Promise.all([window.client.track('a'), window.client.identify('ada'), window.client.track('b')]),
    );
    await expect.poll(() => sut.server.ids('framed')).toEqual(ids);
    const [first, , last] = ids.map((id) => sut.server.taken.get(id!)!);
    expect(last).toMatchObject({ anonymousId: first!.anonymousId, sessionId: first!.sessionId, userId: 'ada' });
  });

  // Broken by: a site's localStorage that an outage of ours fills, or memory that grows with it.
  it('keeps a thousand events and drops the oldest, with a report', async () => {
    down('bounded');
    const page = await sut.open('bounded', { flushIntervalMs: never });
    const ids = await track(page, numbered('bounded', 1_010));
    expect(await stored(page)).toEqual(ids.slice(10));
    const lost = await page.evaluate(() => window.errors.flatMap(({ code, events }) => events.map(({ event }) => `${code} ${event}`)));
    expect(lost).toEqual(numbered('QUEUE_FULL bounded', 10));
    sut.server.reply = undefined;
    await page.evaluate(() => window.client.optOut());
  });

  // Broken by: a queue that is only in the browser's memory.
  it('survives a kill of the browser', async () => {
    down('crash');
    const page = await sut.open('crash');
    const ids = await track(page, numbered('crash', 40));
    // Chromium takes some seconds to write localStorage to its files; what it has not written, nobody can bring back.
    const files = join(sut.profile, 'Default/Local Storage/leveldb');
    const written = async (): Promise<boolean> => {
      const names = (await readdir(files)).filter((name) => name.endsWith('.log') || name.endsWith('.ldb'));
      const texts = await Promise.all(names.map((name) => readFile(join(files, name), 'latin1').catch(() => '')));
      return texts.some((text) => text.includes(ids.at(-1)!));
    };
    await expect.poll(written, { interval: 100 }).toBe(true);
    await sut.restart();
    sut.server.reply = undefined;
    const next = await sut.open('crash');
    await expect.poll(() => sut.server.ids('crash')).toEqual(ids);
    await expect.poll(() => stored(next)).toEqual([]);
  });
});
