import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserOptions, Client, SdkError } from '@pca/sdk';
import { chromiumFlags, chromiumPath } from '@pca/testing';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { bundle } from '../bundle.js';
import { type ProtocolServer, startProtocolServer } from '../protocol-server.js';

/** What the pages of the site have for a test to use. */
declare global {
  interface Window {
    createClient: (options: BrowserOptions) => Client;
    client: Client;
    errors: SdkError[];
  }
}

/** How long anything in the browser may take when the machine is busy. */
const slowMsMax = 110_000;

const flags = [
  ...chromiumFlags,
  '--headless',
  '--remote-debugging-port=0',
  // Besides 127.0.0.1 and *.localhost, which browsers trust like https: a name that they do not.
  '--host-resolver-rules=MAP plain.test 127.0.0.1',
];

interface RunningBrowser {
  context: BrowserContext;
  /** No page, no process of it gets to do anything more. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Chromium started by hand and not by playwright: a test kills it and starts it again with the same profile. */
export const startBrowser = async (profile: string): Promise<RunningBrowser> => {
  const child = spawn(chromiumPath, [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const address = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      const found = /ws:\/\/\S+/.exec((said += chunk.toString()));
      if (found) resolve(found[0]);
    });
    child.once('exit', () => reject(new Error(`${chromiumPath} ended: ${said}`)));
  });
  child.stderr.removeAllListeners('data').resume();
  const browser: Browser = await chromium.connectOverCDP(address, { timeout: slowMsMax });
  browser.contexts()[0]?.setDefaultTimeout(slowMsMax);
  const killAll = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null || !child.pid) return;
    const ended = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await ended;
  };
  return {
    context: browser.contexts()[0]!,
    kill: killAll,
    close: async () => {
      await browser.close();
      await killAll();
    },
  };
};

export const makeProfile = (): Promise<string> => mkdtemp(join(tmpdir(), 'pca-sdk-chromium-'));
export const removeProfile = (profile: string): Promise<void> => rm(profile, { recursive: true, force: true, maxRetries: 10 });

const html = `<!doctype html><title>Front page</title><body><script type="module">
  import { createClient } from '/sdk.js';
  window.errors = [];
  window.createClient = (options) => createClient({ onError: (error) => window.errors.push(error), ...options });
  const options = new URLSearchParams(location.search).get('options');
  if (options) window.client = window.createClient(JSON.parse(options));
</script></body>`;

interface Site {
  /** The page at a path of one of the site's hosts; each host has a localStorage of its own. With options the page makes `window.client`. */
  url(host: string, options?: BrowserOptions, path?: string): string;
  stop(): Promise<void>;
}

const startSite = async (): Promise<Site> => {
  const sdk = await bundle(`export { createClient } from '@pca/sdk'`, 'browser');
  const http = createServer((request, response) => {
    const isScript = request.url === '/sdk.js';
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html', 'access-control-allow-origin': '*' });
    response.end(isScript ? sdk : html);
  });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  const { port } = http.address() as AddressInfo;
  return {
    url: (host, options, path = '/') =>
      `http://${host}:${port}${path}${options ? `?${new URLSearchParams({ options: JSON.stringify(options) })}` : ''}`,
    stop: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
};

export interface SdkUnderTest {
  readonly profile: string;
  /** Another one after `restart`. */
  readonly browser: RunningBrowser;
  readonly site: Site;
  readonly server: ProtocolServer;
  /** Of a client that sends to the server. */
  optionsOf(writeKey: string, more?: Partial<BrowserOptions>): BrowserOptions;
  /** A page with a client. Each key has a site, and so a localStorage, of its own. @param at with a script that runs before the page's own. */
  open(
    key: string,
    more?: Partial<BrowserOptions>,
    at?: { context?: BrowserContext; host?: string; path?: string; before?: () => void },
  ): Promise<Page>;
  /** Kills the browser and starts it again with the same profile. */
  restart(): Promise<void>;
  /** Closes all pages; the network and the server are well again. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** A browser, a site with the SDK, and the server that it sends to. */
export const startSdk = async (): Promise<SdkUnderTest> => {
  const [profile, site, server] = await Promise.all([makeProfile(), startSite(), startProtocolServer()]);
  let browser = await startBrowser(profile);
  const optionsOf: SdkUnderTest['optionsOf'] = (writeKey, more) => ({ endpoint: server.url, writeKey, flushIntervalMs: 20, ...more });
  return {
    profile,
    get browser() {
      return browser;
    },
    site,
    server,
    optionsOf,
    open: async (key, more, { context = browser.context, host = `${key}.localhost`, path, before } = {}) => {
      const page = await context.newPage();
      if (before) await page.addInitScript(before);
      await page.goto(site.url(host, optionsOf(key, more), path));
      await page.waitForFunction(() => window.client);
      return page;
    },
    restart: async () => {
      await browser.kill();
      browser = await startBrowser(profile);
    },
    reset: async () => {
      server.reply = undefined;
      await browser.context.setOffline(false);
      for (const page of browser.context.pages()) await page.close();
    },
    stop: async () => {
      await browser.close();
      await site.stop();
      await server.stop();
      await removeProfile(profile);
    },
  };
};
