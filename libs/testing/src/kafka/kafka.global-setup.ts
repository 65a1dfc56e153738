import type { TestProject } from 'vitest/node';
import { serveRun } from '../run-server.js';
import { startSharedKafka } from './kafka.js';

export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const { controlUrl, stop } = await serveRun(async () => {
    const { brokers: address, stop: stopBroker } = await startSharedKafka();
    return { address, stop: stopBroker };
  });
  project.provide('pcaKafka', controlUrl);
  return stop;
};
