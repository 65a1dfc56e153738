import type { TestProject } from 'vitest/node';
import { startSharedPostgres } from './postgres.js';
import { serveRun } from './run-server.js';

export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const { controlUrl, stop } = await serveRun(async () => {
    const server = await startSharedPostgres();
    return { address: server.url(), stop: server.stop };
  });
  project.provide('pcaPostgres', controlUrl);
  return stop;
};
