import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumFlags, chromiumPath, requiresChromium } from '@pca/testing';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fixtures, type RunningGateway, startFixtures, startGateway } from './gateway-harness.js';

/** Set to a folder to look at the pages afterwards. */
const picturesFolder = process.env['PCA_PICTURES'];
/** How long anything in the browser may take when the machine is busy. */
const slowMsMax = 110_000;

describe.skipIf(!requiresChromium())('pages in a browser without a network', () => {
  let fixtures: Fixtures;
  let gateway: RunningGateway;
  let browser: Browser;
  let context: BrowserContext;
  let profile: string;
  let page: Page;
  const elsewhere: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    fixtures = await startFixtures();
    const tokenFile = join(fixtures.folder, 'token');
    await writeFile(tokenFile, `${await fixtures.issuer.issue({ role: 'admin' })}\n`);
    const openapiFile = join(fixtures.folder, 'openapi.json');
    const operation = { summary: 'Lists campaigns', responses: { 200: { description: 'Campaigns' } } };
    await writeFile(
      openapiFile,
      JSON.stringify({ openapi: '3.1.0', info: { title: 'PCA Agent', version: '1' }, paths: { '/v1/campaigns': { get: operation } } }),
    );
    gateway = await startGateway(fixtures, { LOCAL_TOKEN_FILE: tokenFile, OPENAPI_FILE: openapiFile });
    profile = await mkdtemp(join(tmpdir(), 'pca-chromium-'));
    context = await chromium.launchPersistentContext(profile, {
      executablePath: chromiumPath,
      headless: true,
      args: [...chromiumFlags],
      viewport: { width: 1280, height: 800 },
      timeout: slowMsMax,
    });
    context.setDefaultTimeout(slowMsMax);
    browser = context.browser() as Browser;
    await context.route('**', (route) => {
      if (new URL(route.request().url()).origin === gateway.url) return route.continue();
      elsewhere.push(route.request().url());
      return route.abort();
    });
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
  });
  afterAll(async () => {
    await context.close();
    await browser?.close();
    await gateway.stop();
    await fixtures.stop();
    await rm(profile, { recursive: true, force: true });
  });

  const picture = async (name: string): Promise<void> => {
    if (picturesFolder) await page.screenshot({ path: join(picturesFolder, `${name}.png`) });
  };

  it('runs a query in GraphiQL by a click, with the local token already there', async () => {
    await page.goto(`${gateway.url}/graphql`);
    await page.locator('.graphiql-container').waitFor();
    await page.locator('.graphiql-execute-button').click();
    await page.locator('.result-window', { hasText: '"Campaign 1"' }).waitFor();
    await picture('graphiql');
  });

  it('shows the schema, which it asked for with the token', async () => {
    await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
    await page.locator('.graphiql-doc-explorer', { hasText: 'Query' }).waitFor();
    await page.locator('.graphiql-doc-explorer a', { hasText: 'Query' }).first().click();
    await page.locator('.graphiql-doc-explorer', { hasText: 'campaignsByIds' }).waitFor();
    await picture('graphiql-docs');
  });

  it('leads from the front page to everything and shows how each service is', async () => {
    const states = async (): Promise<string[]> => {
      await page.goto(gateway.url);
      return page.locator('tbody tr').allInnerTexts();
    };
    // A service that the machine keeps from answering for a moment is shown as down, and asked again a second later.
    await expect.poll(states).toEqual([expect.stringMatching(/campaigns\s+ready/), expect.stringMatching(/notes\s+ready/)]);
    await picture('home');
    await page.getByRole('link', { name: 'REST API' }).click();
    await page.locator('.opblock-summary-path', { hasText: '/v1/campaigns' }).waitFor();
    await picture('docs');
  });

  it('asked for nothing elsewhere and broke no rule of its own', () => {
    expect(elsewhere).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
