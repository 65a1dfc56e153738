import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askGraphql, freePort, type TestIssuer, testIssuer, type TestPostgres, testPostgres } from '@pca/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createService, ServiceRefused } from './gen-service/create-service.ts';
import { copyRepository, type RepositoryCopy } from './gen-service/repository-copy.ts';

let copy: RepositoryCopy;
let postgres: TestPostgres;
let issuer: TestIssuer;
const processes: ChildProcess[] = [];

beforeAll(async () => {
  copy = copyRepository(join(import.meta.dirname, '..'));
  postgres = await testPostgres();
  issuer = await testIssuer();
});
afterAll(async () => {
  await Promise.all(processes.map((child) => stopped(child)));
  await issuer?.remove();
  await postgres?.stop();
  copy?.remove();
});

// What the test runner puts into its own environment must not reach the one that it starts.
const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
const bareEnv = { PATH, HOME, NODE_COMPILE_CACHE, NO_COLOR: '1' };

// Not spawnSync: the test runner has to hear from this process while a program is at work for long.
const inCopy = async (program: string, ...args: string[]): Promise<{ status: number | null; output: string }> => {
  const child = spawn(program, args, { cwd: copy.root, env: bareEnv, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (output += part));
  await once(child, 'close');
  return { status: child.exitCode, output };
};
const node = (...args: string[]) => inCopy(process.execPath, ...args);
const commit = async (): Promise<void> => {
  const author = ['-c', 'user.name=test', '-c', 'user.email=test@localhost', '-c', 'commit.gpgsign=false'];
  for (const args of [
    ['init', '-q'],
    ['add', '-A'],
    [...author, 'commit', '-q', '--no-verify', '-m', 'test: a commit to compare with'],
  ]) {
    expect(await inCopy('git', ...args)).toMatchObject({ status: 0 });
  }
};

/** A built service as a process of its own, ready. */
const start = async (name: string, env: Record<string, string>): Promise<string> => {
  const port = await freePort();
  const child = spawn(process.execPath, [join(copy.root, 'services', name, 'dist/main.js')], {
    env: { PATH, NODE_COMPILE_CACHE, NODE_ENV: 'test', LOG_LEVEL: 'warn', PORT: String(port), ...issuer.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  processes.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${url}/health/ready`).catch(() => undefined))?.ok) {
    if (child.exitCode !== null) throw new Error(`${name} left with ${child.exitCode}:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return url;
};

const stopped = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });

const subgraph = async (name: string): Promise<string> => {
  const { url } = await postgres.createDatabase();
  return start(name, { DATABASE_URL: url, BUS_URL: url });
};

describe('npm run gen:service', { timeout: 600_000 }, () => {
  it('refuses names that are taken or no names, in one line', async () => {
    for (const name of ['', 'Widgets', '../widgets', 'a--b', '9lives', 'campaigns', 'errors', 'local', 'x'.repeat(41)]) {
      await expect(createService(copy.root, name), name).rejects.toThrow(ServiceRefused);
    }
    expect(await node('tools/gen-service.mjs', 'campaigns')).toEqual({ status: 1, output: 'services/campaigns is there already\n' });
  });

  it('makes a subgraph that builds, keeps the house style and passes its own tests', async () => {
    expect(await node('tools/gen-service.mjs', 'widgets')).toMatchObject({ status: 0 });
    expect(JSON.parse(readFileSync(join(copy.root, 'services/widgets/project.json'), 'utf8'))).toMatchObject({
      metadata: { pca: { port: 8106, database: 'widgets', subgraph: true } },
    });
    for (const check of ['prettier/bin/prettier.cjs --check services/widgets/**/*.ts', 'eslint/bin/eslint.js services/widgets']) {
      const { status, output } = await node(...`node_modules/${check}`.split(' '));
      expect(status, output).toBe(0);
    }
    const { status, output } = await node('node_modules/vitest/vitest.mjs', 'run', '--reporter', 'verbose', 'services/widgets');
    expect(status, output).toBe(0);
    expect(output).toContain('Test Files  2 passed (2)');
  });

  it('stitches it into the graph: a query over two services through the gateway', async () => {
    const supergraph = readFileSync(join(copy.root, 'services/gateway/supergraph.graphql'), 'utf8');
    expect(supergraph).toContain('@join__graph(name: "widgets", url: "http://widgets/graphql")');
    const [campaigns, widgets] = await Promise.all([subgraph('campaigns'), subgraph('widgets')]);
    // Nothing is asked of it here, and a gateway starts while a service is away; but it has to be told where each would be.
    const nowhere = 'http://127.0.0.1:9';
    const urls = { SUBGRAPH_ANALYTICS_URL: nowhere, SUBGRAPH_CAMPAIGNS_URL: campaigns, SUBGRAPH_WIDGETS_URL: widgets };
    const gateway = await start('gateway', urls);
    const token = await issuer.issue({ role: 'admin' });
    const made = await askGraphql(gateway, token, 'mutation { createWidgetsItem(input: { name: "one" }) { name } }');
    expect(made).toMatchObject({ errors: [], data: { createWidgetsItem: { name: 'one' } } });
    const both = await askGraphql(gateway, token, '{ widgetsItems { name } campaigns(limit: 1) { id } }');
    expect(both).toMatchObject({ errors: [], data: { widgetsItems: [{ name: 'one' }], campaigns: [] } });
  });

  it('and gen:check names what is stale, gen refuses what breaks clients unless it is meant', async () => {
    await commit();
    expect(await node('tools/gen.mjs', '--check')).toMatchObject({ status: 0 });
    const resolver = join(copy.root, 'services/widgets/src/items/item.resolver.ts');
    writeFileSync(resolver, readFileSync(resolver, 'utf8').replace('widgetsItem(', 'widgetsThing('));
    const stale = await node('tools/gen.mjs', '--check');
    expect(stale.status).toBe(1);
    for (const path of ['services/widgets/schema.graphql', 'services/gateway/supergraph.graphql', 'docs/schema.graphql']) {
      expect(stale.output).toContain(`stale: ${path}`);
    }
    const refused = await node('tools/gen.mjs');
    expect(refused.status).toBe(1);
    expect(refused.output).toContain('breaking: Query.widgetsItem was removed.');
    expect((await node('tools/gen.mjs', '--allow-breaking')).status).toBe(0);
    expect((await node('tools/gen.mjs', '--check')).status).toBe(0);
  });
});
