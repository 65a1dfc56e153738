import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const cruiser = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');

/** A small tree in which every file but the good ones breaks one rule. */
const tree: Record<string, string> = {
  'libs/errors/src/index.ts': `export { code } from './code.js';`,
  'libs/errors/src/code.ts': `export const code = 1;`,
  'libs/errors/src/upwards.ts': `import { event } from '@pca/contracts'; export const upwards = event;`,
  'libs/contracts/src/index.ts': `import { code } from '@pca/errors'; export const event = code;`,
  'libs/contracts/src/broker.ts': `import { Kafka } from 'kafkajs'; export const broker = Kafka;`,
  'libs/contracts/src/back-door.ts': `import { code } from '../../errors/src/code.js'; export const backDoor = code;`,
  'libs/contracts/src/type-only.ts': `import type { Kafka } from 'kafkajs'; export type Broker = Kafka;`,
  'libs/contracts/src/copyleft.ts': `import { viral } from 'copyleft'; export const copyleft = viral;`,
  'libs/event-bus/src/index.ts': `import { Kafka } from 'kafkajs'; import { event } from '@pca/contracts'; export const bus = [Kafka, event];`,
  'libs/testing/src/index.ts': `import { bus } from '@pca/event-bus'; export const helper = bus;`,
  'libs/embedded-postgres/src/index.ts': `export const server = 1;`,
  'libs/embedded-kafka/src/index.ts': `import { server } from '@pca/embedded-postgres'; export const broker = server;`,
  'libs/outbox/src/index.ts': `import { lost } from './nowhere.js'; export const outbox = lost;`,
  'libs/sdk/src/index.ts': `export { client } from './core/client.js';`,
  'libs/sdk/src/node.ts': `export { file } from './node/file.js';`,
  'libs/sdk/src/core/client.ts': `import { code } from '@pca/errors'; export const client = code;`,
  'libs/sdk/src/core/page.ts': `import { page } from '../browser/page.js'; export const context = page;`,
  'libs/sdk/src/browser/page.ts': `export const page = 1;`,
  'libs/sdk/src/node/file.ts': `import { readFileSync } from 'node:fs'; export const file = readFileSync;`,
  'services/a/src/main.ts': `import { bus } from '@pca/event-bus'; import { Module } from '@nestjs/common'; export const main = [bus, Module];`,
  'services/a/src/feature/feature.ts': `import { Module } from '@nestjs/common'; export const feature = Module;`,
  'services/a/src/feature/feature.service.ts': `import { Module } from '@nestjs/common'; export const service = Module;`,
  'services/a/src/feature/feature.unit.spec.ts': `import { helper } from '@pca/testing'; export const spec = helper;`,
  'services/a/src/leak.ts': `import { helper } from '@pca/testing'; export const leak = helper;`,
  'services/a/src/one.ts': `import { two } from './two.js'; export const one = () => two;`,
  'services/a/src/two.ts': `import { one } from './one.js'; export const two = () => one;`,
  'services/a/src/own-broker.ts': `import { broker } from '@pca/embedded-kafka'; export const own = broker;`,
  'services/a/src/own-server.ts': `import { server } from '@pca/embedded-postgres'; export const own = server;`,
  'services/a/src/usage.ts': `import { file } from '@pca/sdk/node'; export const usage = file;`,
  'services/b/src/neighbour.ts': `import { main } from '../../a/src/main.js'; export const neighbour = main;`,
  'services/b/src/tested.ts': `import { spec } from './tested.unit.spec.js'; export const tested = spec;`,
  'services/b/src/tested.unit.spec.ts': `export const spec = 1;`,
};

const expected = [
  'contracts/src/back-door.ts libs-through-the-front-door',
  'contracts/src/broker.ts kafkajs-only-where-it-belongs',
  'contracts/src/copyleft.ts no-copyleft',
  'contracts/src/type-only.ts kafkajs-only-where-it-belongs',
  'errors/src/upwards.ts errors-imports-upwards',
  'outbox/src/index.ts everything-resolves',
  'sdk/src/core/client.ts the-sdk-stands-alone',
  'sdk/src/core/page.ts the-sdk-has-one-core',
  'a/src/feature/feature.ts plain-files-know-no-framework',
  'a/src/leak.ts only-tests-import-testing',
  'a/src/one.ts no-circle',
  'a/src/own-broker.ts embedded-servers-are-for-one-machine',
  'a/src/own-server.ts embedded-servers-are-for-one-machine',
  'b/src/neighbour.ts services-stand-alone',
  'b/src/tested.ts source-imports-no-test',
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pca-boundaries-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  for (const [path, text] of Object.entries(tree)) write(path, text);
  const packages: [string, string][] = [
    ['kafkajs', 'MIT'],
    ['copyleft', 'AGPL-3.0'],
    ['@nestjs/common', 'MIT'],
  ];
  for (const [name, license] of packages) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, license, version: '1.0.0', main: 'index.js' }));
    write(`node_modules/${name}/index.js`, '');
  }
  write('package.json', JSON.stringify({ dependencies: Object.fromEntries(packages.map(([name]) => [name, '1.0.0'])) }));
  for (const file of ['.dependency-cruiser.cjs', 'tsconfig.base.json', 'tsconfig.spec.json']) cpSync(join(root, file), join(folder, file));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the import boundaries', () => {
  it('catch each broken import, by its rule, and nothing else', () => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [cruiser, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'libs', 'services'],
      { cwd: folder, encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    const { summary } = JSON.parse(stdout) as { summary: { violations: { from: string; rule: { name: string } }[] } };
    const found = summary.violations.map(({ from, rule }) => `${from.replace(/^(libs|services)\//, '')} ${rule.name}`);
    expect(found.sort()).toEqual([...expected].sort());
  });
});
