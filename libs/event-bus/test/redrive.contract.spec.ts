import { requiresKafka, testKafka, testPostgres, type TestPostgres } from '@pca/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { connectEventBus } from '../src/index.js';
import { redriveContract } from './redrive.contract.js';

describe('on the log of Postgres', () => {
  let postgres: TestPostgres;
  let url: string;
  beforeAll(async () => {
    postgres = await testPostgres();
    url = (await postgres.createDatabase()).url;
  });
  afterAll(() => postgres.stop());
  redriveContract(() => connectEventBus({ bus: 'postgres', url }));
});

describe.skipIf(!(await requiresKafka()))('on Kafka', () => {
  let brokers: string;
  beforeAll(async () => {
    ({ brokers } = await testKafka());
  });
  redriveContract(() => connectEventBus({ bus: 'kafka', brokers }));
});
