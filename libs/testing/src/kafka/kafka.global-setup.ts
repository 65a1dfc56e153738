import type { TestProject } from 'vitest/node';
import { shareServer } from '../shared-server.js';
import { startSharedKafka } from './kafka.js';

export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const { controlUrl, stop } = await shareServer(async () => {
    const { brokers: address, stop: stopBroker } = await startSharedKafka();
    return { address, stop: stopBroker };
  });
  project.provide('pcaKafka', controlUrl);
  return stop;
};
