import { askGraphql, chromiumFlags, chromiumPath, requiresChromium } from '@pca/testing';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { totalsFromNow } from './behaviour-load.js';
import type { RunningSystem } from './running-system.js';
import { type ShopSite, startShopSite } from './shop-site.js';

/** Nothing is sent because time went by: each way of sending shows by itself. */
const never = 3_600_000;
/** How long anything in the browser may take when the machine is busy. */
const slowMsMax = 110_000;
const dayMs = 86_400_000;
const clockAheadMs = 2 * 3_600_000;

const engine = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const desktop = `Mozilla/5.0 (X11; Linux x86_64) ${engine} Chrome/140.0.0.0 Safari/537.36`;
const phone = `Mozilla/5.0 (Linux; Android 15; Pixel 9) ${engine} Chrome/140.0.0.0 Mobile Safari/537.36`;
/** What a browser says in front of which nobody sits. */
const headless = `Mozilla/5.0 (X11; Linux x86_64) ${engine} HeadlessChrome/140.0.0.0 Safari/537.36`;

interface Surroundings {
  system(): RunningSystem;
  keyOf(workspace: string): Promise<string>;
  tokenOf(workspace: string): Promise<string>;
}

// What is said to the page is text, because these tests are checked without the types of a browser.
const track = (page: Page, event: string, count: number, properties = {}): Promise<unknown> =>
  page.evaluate(`Promise.all(Array.from({ length: ${count} }, () => analytics.track('${event}', ${JSON.stringify(properties)})))`);
const flush = (page: Page): Promise<unknown> => page.evaluate('analytics.flush()');
const stored = (page: Page): Promise<string[]> => page.evaluate('Object.keys(localStorage).sort()');
const untilEmpty = (page: Page): Promise<void> =>
  expect.poll(async () => (await stored(page)).filter((key) => key.includes(':e:')), { message: 'the queue empties' }).toEqual([]);

/** The SDK as it is published, in a page of another origin, against the whole system. */
export const sdkInBrowser = ({ system, keyOf, tokenOf }: Surroundings): void => {
  describe.skipIf(!requiresChromium())('the SDK in a browser', () => {
    let browser: Browser;
    let site: ShopSite;
    const keys = new Map<string, string>();
    const tokens = new Map<string, string>();

    beforeAll(async () => {
      for (const workspace of ['visits', 'careful']) {
        keys.set(workspace, await keyOf(workspace));
        tokens.set(workspace, await tokenOf(workspace));
      }
      site = await startShopSite((host) => {
        const isCareful = host === 'careful.localhost';
        return {
          endpoint: system().gatewayUrl,
          writeKey: keys.get(host === 'shop.localhost' ? 'visits' : 'careful') ?? '',
          flushIntervalMs: never,
          autocapture: { pages: true, clicks: true },
          ...(isCareful && { consent: 'required' }),
        };
      });
      // For the whole browser: what outlives its page is sent without what is set for a page.
      const args = [...chromiumFlags, `--user-agent=${desktop}`];
      browser = await chromium.launch({ executablePath: chromiumPath, headless: true, args, timeout: slowMsMax });
    });
    afterAll(async () => {
      await browser?.close();
      await site?.stop();
    });

    /** @param options instead of the desktop's. */
    const browse = async (options: BrowserContextOptions = {}): Promise<BrowserContext> => {
      const context = await browser.newContext(options);
      context.setDefaultTimeout(slowMsMax);
      return context;
    };
    const visit = async (context: BrowserContext, host: string, path: string): Promise<Page> => {
      const page = await context.newPage();
      await page.goto(site.url(host, path));
      await page.waitForFunction('window.analytics');
      // By then the first page is seen, which waits for a turn.
      await page.evaluate('new Promise((resolve) => setTimeout(resolve))');
      return page;
    };
    const ask = async <T>(workspace: string, query: string): Promise<T> => {
      const { data, errors } = await askGraphql<T>(system().gatewayUrl, tokens.get(workspace), query);
      expect(errors).toEqual([]);
      return data as T;
    };
    const countOf = async (workspace: string, event: string): Promise<number> => {
      const { featureUsage } = await ask<{ featureUsage: { event: string; count: number }[] }>(
        workspace,
        '{ featureUsage(limit: 200, includeBots: true) { event count } }',
      );
      return featureUsage.find((usage) => usage.event === event)?.count ?? 0;
    };
    const totals = async (workspace: string): Promise<unknown> => {
      const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
      return totalsFromNow(system().gatewayUrl, tokens.get(workspace) ?? '', day(Date.now() - dayMs), day(Date.now() + dayMs));
    };
    const gatewayPid = (): number | undefined =>
      system()
        .run()
        ?.services.find(({ name }) => name === 'gateway')?.process?.pid;

    /** Events that are sent one by one until the gateway is killed, and five more. Answers with how many. */
    const trackThroughKill = async (page: Page): Promise<number> => {
      const victim = gatewayPid();
      if (victim === undefined) throw new Error('There is no gateway to kill');
      const sending = page.evaluate(`(async () => {
        window.sent = 0;
        do await analytics.track('through a kill'); while (await analytics.flush() && ++window.sent);
        for (let n = 0; n < 5; n++) await analytics.track('through a kill');
        return window.sent + 6;
      })()`);
      await page.waitForFunction('window.sent > 20');
      process.kill(victim, 'SIGKILL');
      const count = (await sending) as number;
      await expect.poll(() => gatewayPid() ?? victim, { message: 'the gateway is started again' }).not.toBe(victim);
      await untilEmpty(page);
      return count;
    };
    /** The server took what the page believes it has not. */
    const trackUnanswered = async (page: Page): Promise<void> => {
      const statuses: number[] = [];
      await page.route('**/v1/batch', async (route) => {
        statuses.push((await route.fetch()).status());
        await route.abort();
      });
      await track(page, 'unanswered', 3);
      expect(await flush(page)).toBe(false);
      expect(new Set(statuses)).toEqual(new Set([202]));
      await page.unroute('**/v1/batch');
      expect(await flush(page)).toBe(true);
    };

    /** Ada's visit, up to the end of her tab. Answers with what the SDK alone knows of it. */
    const visitOfAda = async (context: BrowserContext): Promise<{ throughKill: number; anonymousId: unknown }> => {
      const page = await visit(context, 'shop.localhost', '/?utm_source=news&utm_campaign=spring&token=secret');
      await page.click('text=Pro');
      await track(page, 'added to cart', 1, { resource: 'lamp', price: 12.5 });
      await page.evaluate(`history.pushState(null, '', '/products')`);
      expect(await flush(page)).toBe(true);
      await page.evaluate(`analytics.identify('ada', { plan: 'pro' })`);
      await track(page, 'before a reload', 5);
      await page.reload();
      await page.waitForFunction('window.analytics');
      await untilEmpty(page);
      await context.setOffline(true);
      await track(page, 'offline', 3);
      expect(await flush(page)).toBe(false);
      await context.setOffline(false);
      await untilEmpty(page);
      await trackUnanswered(page);
      const throughKill = await trackThroughKill(page);
      const anonymousId = await page.evaluate(`localStorage.getItem('pca:${keys.get('visits')}:anonymous')`);
      await track(page, 'closing', 4);
      await page.close({ runBeforeUnload: true });
      await expect.poll(() => countOf('visits', 'closing'), { message: 'what waited is handed over when the tab closes' }).toBe(4);
      return { throughKill, anonymousId };
    };

    // Broken by: CORS that the real gateway answers otherwise than the tests' server; an import of the published files that a browser cannot
    // follow; an event that is lost or counted twice on any of these ways; a person, session, page or campaign that the server reads from
    // other fields than the SDK writes; a clock of the person's that is believed.
    it(
      'tells exactly what was done, through reload, offline, lost answers, a kill of the gateway and the end of the tab',
      { timeout: 300_000 },
      async () => {
        const began = Date.now();
        const context = await browse();
        const { throughKill, anonymousId } = await visitOfAda(context);
        // Nobody heard the answer to that: the next page sends it again.
        const next = await visit(context, 'shop.localhost', '/account');
        await untilEmpty(next);
        await next.evaluate('analytics.reset()');
        await track(next, 'after logout', 2);
        expect(await flush(next)).toBe(true);
        expect(await next.evaluate('errors')).toEqual([]);
        for (const userAgent of [phone, headless]) {
          const glancing = await browse({ userAgent });
          await glancing.clock.install({ time: Date.now() + clockAheadMs });
          expect(await flush(await visit(glancing, 'shop.localhost', '/'))).toBe(true);
        }

        const counts = { 'before a reload': 5, offline: 3, unanswered: 3, 'through a kill': throughKill, closing: 4 };
        const own = { 'plan chosen': 1, 'added to cart': 1, ...counts };
        const events = Object.values(own).reduce((sum, count) => sum + count, 4);
        expect(await totals('visits')).toEqual({ events: events + 2 + 1, activeUsers: 3, sessions: 3 });
        const answers = await ask<{ featureUsage: { event: string }[]; seen: { lastSeenAt: string }[] }>(
          'visits',
          `{ user(id: "ada") { id aliases traits stats { events sessions pageViews }
             sessions { events pageViews device browser os isBounce entryPage exitPage utmSource utmCampaign } }
           featureUsage(limit: 50) { event count users sessions }
           resources: featureUsage(by: RESOURCE) { event resource count }
           pageViews { page count users sessions }
           users { id sessions { device browser os isBounce events pageViews } }
           everybody: users(includeBots: true) { id }
             seen: users { lastSeenAt } }`,
        );
        const session = { events, pageViews: 4, device: 'desktop', browser: 'Chrome', os: 'Linux', isBounce: false };
        expect({ ...answers, featureUsage: new Set(answers.featureUsage) }).toEqual({
          user: {
            id: 'ada',
            aliases: [anonymousId],
            traits: { plan: 'pro' },
            stats: { events, sessions: 1, pageViews: 4 },
            sessions: [{ ...session, entryPage: '/', exitPage: '/account', utmSource: 'news', utmCampaign: 'spring' }],
          },
          featureUsage: new Set([
            { event: 'page', count: 5, users: 2, sessions: 2 },
            ...Object.entries({ ...own, 'after logout': 2 }).map(([event, count]) => ({ event, count, users: 1, sessions: 1 })),
          ]),
          resources: [{ event: 'added to cart', resource: 'lamp', count: 1 }],
          pageViews: [
            { page: '/', count: 2, users: 2, sessions: 2 },
            { page: '/products', count: 2, users: 1, sessions: 1 },
            { page: '/account', count: 1, users: 1, sessions: 1 },
          ],
          users: expect.arrayContaining([
            { id: 'ada', sessions: [session] },
            { id: expect.any(String), sessions: [{ ...session, events: 2, pageViews: 0 }] },
            {
              id: expect.any(String),
              sessions: [{ device: 'mobile', browser: 'Chrome', os: 'Android', isBounce: true, events: 1, pageViews: 1 }],
            },
          ]),
          everybody: expect.objectContaining({ length: 4 }),
          seen: expect.objectContaining({ length: 3 }),
        });
        for (const { lastSeenAt } of answers.seen) {
          expect(Date.parse(lastSeenAt)).toBeGreaterThan(began - clockAheadMs / 2);
          expect(Date.parse(lastSeenAt)).toBeLessThan(Date.now() + clockAheadMs / 2);
        }
      },
    );

    // Broken by: anything sent for who did not agree, or objects; an agreement that the system does not count.
    it('tells what was agreed to and nothing else', { timeout: 300_000 }, async () => {
      const asked: string[] = [];
      const context = await browse();
      context.on('request', (request) => request.url().startsWith(system().gatewayUrl) && asked.push(request.url()));
      const page = await visit(context, 'careful.localhost', '/');
      await page.click('text=Pro');
      await track(page, 'too early', 2);
      expect(await flush(page)).toBe(true);
      expect([asked, await stored(page)]).toEqual([[], []]);
      await page.evaluate('analytics.optIn()');
      await track(page, 'agreed', 1);
      expect(await flush(page)).toBe(true);
      await track(page, 'withdrawn before it was sent', 1);
      await page.evaluate('analytics.optOut()');
      await track(page, 'too late', 2);
      expect(await flush(page)).toBe(true);
      expect(await stored(page)).toEqual([]);
      await page.close({ runBeforeUnload: true });

      const objecting = await browse();
      objecting.on('request', (request) => request.url().startsWith(system().gatewayUrl) && asked.push(request.url()));
      await objecting.addInitScript(`Object.defineProperty(Navigator.prototype, 'doNotTrack', { value: '1' })`);
      const silent = await visit(objecting, 'objecting.localhost', '/');
      await track(silent, 'objected', 1);
      expect([await flush(silent), await stored(silent)]).toEqual([true, []]);
      await silent.close({ runBeforeUnload: true });

      expect(asked).toHaveLength(1);
      expect(await totals('careful')).toEqual({ events: 2, activeUsers: 1, sessions: 1 });
      expect(await ask('careful', '{ featureUsage { event count } }')).toEqual({
        featureUsage: expect.arrayContaining([
          { event: 'page', count: 1 },
          { event: 'agreed', count: 1 },
        ]),
      });
    });
  });
};
