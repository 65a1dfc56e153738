import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const libs = readdirSync(new URL('./libs', import.meta.url));

// Tests run from the sources, so that a change is tested without a build; spawned processes run from dist.
export default defineConfig({
  resolve: {
    alias: libs.map((name) => ({
      find: new RegExp(`^@pca/${name}$`),
      replacement: fileURLToPath(new URL(`./libs/${name}/src/index.ts`, import.meta.url)),
    })),
  },
  test: {
    include: ['{libs,services,deploy,tools}/**/*.spec.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
