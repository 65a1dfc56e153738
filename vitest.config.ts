import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const libs = readdirSync(new URL('./libs', import.meta.url));

// Tests run from the sources, so that a change is tested without a build; spawned processes run from dist.
export default defineConfig({
  resolve: {
    alias: [
      // The file that Node takes: by its "module" field graphql would be loaded twice, and its two copies refuse each other's types.
      { find: /^graphql$/, replacement: fileURLToPath(new URL('./node_modules/graphql/index.js', import.meta.url)) },
      { find: /^@pca\/sdk\/node$/, replacement: fileURLToPath(new URL('./libs/sdk/src/node.ts', import.meta.url)) },
      ...libs.map((name) => ({
        find: new RegExp(`^@pca/${name}$`),
        replacement: fileURLToPath(new URL(`./libs/${name}/src/index.ts`, import.meta.url)),
      })),
    ],
  },
  test: {
    include: ['{libs,services,deploy,tools}/**/*.spec.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    globalSetup: ['postgres', 'kafka/kafka'].map((name) =>
      fileURLToPath(new URL(`./libs/testing/src/${name}.global-setup.ts`, import.meta.url)),
    ),
    // Most of the time is waiting, for processes that start and for what happens by itself: never one file at a time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // How long something may take when the machine is busy; what is right comes much sooner.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // What a test waits for comes when the machine has time for it; by default only a second is given.
    expect: { poll: { timeout: 60_000 } },
  },
});
