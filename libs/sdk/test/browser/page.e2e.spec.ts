import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnalyticsEvent, Client } from '@pca/sdk';
import { requiresChromium } from '@pca/testing';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../bundle.js';
import type { Reply } from '../protocol-server.js';
import { makeProfile, removeProfile, type SdkUnderTest, startBrowser, startSdk } from './browser-harness.js';

describe.skipIf(!requiresChromium())('a page with the SDK', () => {
  let sut: SdkUnderTest;

  beforeAll(async () => {
    sut = await startSdk();
  });
  afterAll(() => sut?.stop());
  afterEach(() => sut.reset());

  const eventsOf = (key: string): AnalyticsEvent[] => sut.server.ids(key).map((id) => sut.server.taken.get(id)!);
  const storedKeys = (page: Page): Promise<string[]> => page.evaluate(() => Object.keys(localStorage));
  const storedIds = async (page: Page): Promise<string[]> => (await storedKeys(page)).flatMap((key) => key.split(':e:').slice(1));

  // Broken by: a field that the server knows by another name, a query (with secrets) that leaks, a campaign that is forgotten at the next page.
  it('says what happened, to whom and where, in the shape of the protocol', async () => {
    const page = await sut.open('shape', { context: { app: 'shop' } }, { path: '/cart' });
    await page.evaluate(() => history.replaceState(null, '', '/cart?token=secret&utm_source=newsletter&utm_campaign=spring#secret'));
    await page.evaluate(async () => {
      const { client } = window;
      await client.track('added to cart', { price: 12.5 });
      history.pushState(null, '', '/checkout');
      await client.page();
      await client.page('Checkout', { step: 1 });
      await client.identify('ada', { plan: 'pro' });
      await client.group('acme', { seats: 5 });
      await client.alias('ada@example.com');
      await client.track('imported', {}, { timestamp: new Date('2020-02-03T04:05:06Z'), userId: 'bob' });
      client.reset();
      await client.track('after logout');
    });
    await expect.poll(() => eventsOf('shape')).toHaveLength(8);
    const [added, unnamed, named, identified, grouped, aliased, imported, after] = eventsOf('shape') as [
      AnalyticsEvent,
      ...AnalyticsEvent[],
    ];
    const { anonymousId, sessionId } = added;
    const origin = new URL(sut.site.url('shape.localhost')).origin;
    const campaign = { source: 'newsletter', name: 'spring' };
    expect(added).toEqual({
      type: 'track',
      event: 'added to cart',
      messageId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      anonymousId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      sessionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      properties: { price: 12.5 },
      context: {
        page: { url: `${origin}/cart`, path: '/cart', referrer: '', title: 'Front page' },
        campaign,
        locale: expect.any(String),
        timezone: expect.any(String),
        app: 'shop',
      },
    });
    expect(unnamed).toMatchObject({
      type: 'page',
      name: '/checkout',
      anonymousId,
      sessionId,
      context: { campaign, page: { path: '/checkout' } },
    });
    expect(named).toMatchObject({ type: 'page', name: 'Checkout', properties: { step: 1 } });
    expect(identified).toMatchObject({ type: 'identify', userId: 'ada', anonymousId, traits: { plan: 'pro' } });
    expect(grouped).toMatchObject({ type: 'group', groupId: 'acme', userId: 'ada', traits: { seats: 5 } });
    expect(aliased).toMatchObject({ type: 'alias', previousId: 'ada', userId: 'ada@example.com' });
    expect(imported).toMatchObject({ userId: 'bob', timestamp: '2020-02-03T04:05:06.000Z' });
    expect(imported).not.toHaveProperty('sessionId');
    expect(after).not.toHaveProperty('userId');
    expect([anonymousId, sessionId]).not.toContain(after!.anonymousId);
    expect(after!.sessionId).not.toBe(sessionId);
    expect(sut.server.batches.at(-1)).toMatchObject({ writeKey: 'shape', sentAt: expect.stringMatching(/Z$/) });
    expect(JSON.stringify(eventsOf('shape'))).not.toContain('secret');
  });

  // Broken by: a README that nobody tried.
  it('works by the three lines of the README', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    const [, lines = ''] = /```ts\n(import .*'@pca\/sdk';\n[^`]*)```/.exec(readme) ?? [];
    expect(lines.trim().split('\n')).toHaveLength(3);
    const program = Buffer.from(
      await bundle(lines.replace('http://localhost:8000', sut.server.url).replace('YOUR_INGEST_KEY', 'readme'), 'browser'),
    ).toString();
    const page = await sut.browser.context.newPage();
    await page.goto(sut.site.url('readme.localhost'));
    await page.evaluate((code) => {
      const script = document.createElement('script');
      script.type = 'module';
      script.text = code;
      document.head.append(script);
    }, program);
    await expect.poll(async () => new Set([...(await storedIds(page)), ...sut.server.ids('readme')]).size).toBe(2);
    await page.close({ runBeforeUnload: true });
    await expect.poll(() => sut.server.names('readme').sort()).toEqual(['/', 'signed up']);
  });

  // Broken by: anything kept or sent before the person agreed, or after they changed their mind, in this tab or another.
  it('needs consent where it is required', async () => {
    const page = await sut.open('consent', { consent: 'required', autocapture: { pages: true, clicks: true } });
    const other = await sut.open('consent', { consent: 'required' });
    expect(
      await page.evaluate(() =>
        Promise.all([window.client.track('too early'), window.client.identify('ada'), window.client.alias('a', 'b')]),
      ),
    ).toEqual([undefined, undefined, undefined]);
    await page.evaluate(() => window.client.flush());
    expect(await storedKeys(page)).toEqual([]);
    await page.evaluate(() => window.client.optIn());
    await page.evaluate(() => window.client.track('agreed'));
    await expect.poll(() => sut.server.names('consent')).toEqual(['/', 'agreed']);
    // Each tab may have a process of its own, to which the news takes a moment.
    await expect.poll(() => storedKeys(other)).toContain('pca:consent:consent');
    expect(await other.evaluate(() => window.client.track('agreed for all tabs'))).toEqual(expect.any(String));
    await expect.poll(() => sut.server.names('consent')).toHaveLength(3);
    await page.evaluate(() => window.client.optOut());
    expect(await storedKeys(page)).toEqual([]);
    await expect.poll(() => storedKeys(other)).toEqual([]);
    expect(await other.evaluate(() => window.client.track('too late'))).toBeUndefined();
    expect(await other.evaluate(() => window.client.flush())).toBe(true);
    expect(sut.server.names('consent')).toHaveLength(3);
  });

  // Broken by: a word that we do not know, taken for a yes.
  it('takes what it does not understand for required consent', async () => {
    const page = await sut.open('misspelt', { consent: 'Required' as 'required' });
    expect(await page.evaluate(() => window.client.track('too early'))).toBeUndefined();
    expect(await storedKeys(page)).toEqual([]);
  });

  // Broken by: a refusal that the next visit has forgotten, a queue that is sent in spite of it.
  it('takes no for an answer', async () => {
    const page = await sut.open('refusal', { flushIntervalMs: 3_600_000 });
    await page.evaluate(() => window.client.track('not sent yet'));
    await page.evaluate(() => window.client.optOut());
    expect(await storedKeys(page)).toEqual(['pca:refusal:consent']);
    await page.reload();
    await page.waitForFunction(() => window.client);
    expect(await page.evaluate(() => window.client.track('refused'))).toBeUndefined();
    await page.evaluate(() => window.client.flush());
    expect(sut.server.ids('refusal')).toEqual([]);
    await page.evaluate(() => window.client.optIn());
    expect(await page.evaluate(() => window.client.track('agreed'))).toEqual(expect.any(String));
    await page.evaluate(() => window.client.flush());
    expect(sut.server.names('refusal')).toEqual(['agreed']);
  });

  // Broken by: a signal that is asked for under another name; one that the person's own word does not override.
  it('minds Global Privacy Control, unless the person says otherwise', async () => {
    const before = (): void => void Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true });
    const page = await sut.open('gpc', { autocapture: { pages: true } }, { before });
    expect(await page.evaluate(() => window.client.track('objected'))).toBeUndefined();
    expect(await storedKeys(page)).toEqual([]);
    await page.evaluate(() => window.client.optIn());
    expect(await page.evaluate(() => window.client.track('agreed'))).toEqual(expect.any(String));
    await expect.poll(() => sut.server.names('gpc')).toEqual(['/', 'agreed']);
    await page.evaluate(() => window.client.optOut());
    const deaf = await sut.open('gpc-ignored', { ignorePrivacySignals: true }, { before });
    await deaf.evaluate(() => window.client.track('ignored'));
    await expect.poll(() => sut.server.names('gpc-ignored')).toEqual(['ignored']);
  });

  // Broken by: a browser's real setting, which looks different from what we think.
  it('minds do-not-track as the browser sets it', async () => {
    const objecting = await makeProfile();
    await mkdir(join(objecting, 'Default'));
    await writeFile(join(objecting, 'Default/Preferences'), JSON.stringify({ enable_do_not_track: true }));
    const another = await startBrowser(objecting);
    try {
      const page = await sut.open('dnt', {}, { context: another.context });
      expect(await page.evaluate(() => navigator.doNotTrack)).toBe('1');
      expect(await page.evaluate(() => window.client.track('objected'))).toBeUndefined();
      expect(await storedKeys(page)).toEqual([]);
    } finally {
      await another.close();
      await removeProfile(objecting);
    }
  });

  // Broken by: a title of the page before, a view for each replaceState, a history that the site's own code cannot use any more.
  it('sees the pages that a script makes, once each, with their titles', async () => {
    const page = await sut.open('spa', { autocapture: { pages: true } });
    await expect.poll(() => sut.server.names('spa')).toEqual(['/']);
    await page.evaluate(async () => {
      const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
      history.pushState({ own: 'state' }, '', '/products');
      document.title = 'Products';
      await turn();
      history.replaceState(history.state, '', '/products?sort=price');
      await turn();
      history.pushState(null, '', '/products/7');
      document.title = 'Lamp';
      await turn();
    });
    await page.goBack();
    await expect.poll(() => sut.server.names('spa')).toEqual(['/', '/products', '/products/7', '/products']);
    expect(
      eventsOf('spa')
        .map(({ context }) => (context['page'] as { title: string }).title)
        .slice(0, 3),
    ).toEqual(['Front page', 'Products', 'Lamp']);
    expect(await page.evaluate(() => history.state)).toEqual({ own: 'state' });
    await page.evaluate(() => window.client.close());
    await page.evaluate(() => history.pushState(null, '', '/closed'));
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 5)));
    expect(await storedIds(page)).toEqual([]);
    expect(sut.server.names('spa')).toHaveLength(4);
  });

  // Broken by: a click that the site stops, one on a child, one inside a component; properties that are not ours; a link that leaves the page.
  it('tracks clicks on what is marked, and on nothing else', async () => {
    const page = await sut.open('clicks', { autocapture: { clicks: true }, flushIntervalMs: 3_600_000 });
    await page.evaluate(() => {
      const part = document.createElement('div');
      part.innerHTML = `
        <button id="plain">Nothing</button>
        <button id="marked" data-pca-event="plan chosen" data-pca-plan-name="pro" data-pcaother="x" data-other="y"><b id="child">Pro</b></button>
        <div id="host" data-pca-event="outer"></div>
        <a id="link" href="/next" data-pca-event="left">Next</a>`;
      document.body.append(part);
      document.querySelector('#marked')!.addEventListener('click', (event) => event.stopPropagation());
      const inside = document.querySelector('#host')!.attachShadow({ mode: 'open' });
      inside.innerHTML = '<button data-pca-event="inner">Inside</button>';
    });
    for (const selector of ['#plain', '#child', '#host button', '#link']) await page.click(selector);
    await page.waitForURL('**/next');
    await expect.poll(() => sut.server.names('clicks')).toEqual(['plan chosen', 'inner', 'left']);
    expect(eventsOf('clicks').map(({ properties }) => properties)).toEqual([{ planName: 'pro' }, {}, {}]);
  });

  // Broken by: a limit that only the server knows, a fault of the site's code that stops the site.
  it('refuses what is no event, in words, and never throws', async () => {
    const page = await sut.open('refused');
    const answers = await page.evaluate(() => {
      const circular: Record<string, unknown> = {};
      circular['self'] = circular;
      const { client } = window;
      return Promise.all([
        client.track('large', { text: 'ü'.repeat(16_500) }),
        client.track(''),
        client.track(7 as unknown as string),
        client.identify(undefined as unknown as string),
        client.track('circular', circular),
        client.track('no date', {}, { timestamp: new Date('never') }),
        client.track('good', { text: 'x'.repeat(30_000) }),
      ]);
    });
    expect(answers).toEqual([...Array.from({ length: 6 }, () => undefined), expect.any(String)]);
    const errors = await page.evaluate(() => window.errors.map(({ code, message }) => `${code} ${message}`));
    expect(errors).toEqual([
      expect.stringMatching(/^EVENT_TOO_LARGE .*\d+ bytes; 32768 are the limit/),
      ...Array.from({ length: 5 }, () => expect.stringMatching(/^INVALID_EVENT /)),
    ]);
    await expect.poll(() => sut.server.names('refused')).toEqual(['good']);
  });

  // Broken by: a mistake of the site that nobody can see, or one of which nobody can tell what it is and where.
  it('tells on the console what is lost or held up, and why', async () => {
    const page = await sut.open('console', { flushIntervalMs: 3_600_000 });
    const said: string[] = [];
    page.on('console', (message) => message.text().startsWith('@pca/sdk') && said.push(message.text()));
    await page.evaluate(() => {
      window.client = window.createClient({ ...JSON.parse(new URLSearchParams(location.search).get('options')!), onError: undefined });
    });
    const detail = 'An ingest key that is valid is required';
    const answers: Reply[] = [
      { status: 200, body: '<html>' },
      { status: 401, body: { code: 'UNAUTHENTICATED', detail } },
    ];
    sut.server.reply = () => answers.shift() ?? { status: 202 };
    const flush = (): Promise<boolean> => page.evaluate(() => window.client.flush());
    await page.evaluate(() => Promise.all(['a', 'b', 'c', 'd', ''].map((name) => window.client.track(name))));
    expect([await flush(), await flush()]).toEqual([false, true]);
    await expect
      .poll(() => said)
      .toEqual([
        '@pca/sdk: INVALID_EVENT: TypeError: track needs a name or id that is a text (lost: "")',
        `@pca/sdk: UNSENT: ${sut.server.url}/v1/batch answered 200: "<html>"; events wait (4) and are sent again`,
        `@pca/sdk: REFUSED: The server answered 401: ${detail} (lost: "a", "b", "c", … 4 in all)`,
      ]);
  });

  // Broken by: a first page that is seen by a client which was closed at once, as frameworks do that set everything up twice.
  it('captures nothing from the moment that it is closed', async () => {
    const page = await sut.open('closed', { autocapture: { pages: true, clicks: true }, flushIntervalMs: 3_600_000 });
    await expect.poll(() => storedIds(page)).toHaveLength(1);
    await page.evaluate(async () => {
      const make = (): Client => window.createClient(JSON.parse(new URLSearchParams(location.search).get('options')!));
      void window.client.close();
      void make().close();
      window.client = make();
      document.body.innerHTML = '<button data-pca-event="clicked">Once</button>';
    });
    await page.click('button');
    await page.evaluate(() => window.client.flush());
    await expect.poll(() => sut.server.names('closed').sort()).toEqual(['/', '/', 'clicked']);
  });

  // Broken by: a callback of the site that throws into our queue.
  it('goes on when onError throws', async () => {
    const page = await sut.open('throwing');
    await page.evaluate(() => {
      window.client = window.createClient({
        ...JSON.parse(new URLSearchParams(location.search).get('options')!),
        onError: () => {
          throw new Error('of the site');
        },
      });
    });
    const ids = await page.evaluate(() => Promise.all([window.client.track(''), window.client.track('good')]));
    await expect.poll(() => sut.server.ids('throwing')).toEqual([ids[1]]);
  });
});
