import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PrivateKafka, requiresKafka, startPrivateKafka, testKafka } from './kafka.js';

const client = (brokers: string): Kafka => new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } });

const topics = async (brokers: string): Promise<string[]> => {
  const admin = client(brokers).admin();
  await admin.connect();
  try {
    return await admin.listTopics();
  } finally {
    await admin.disconnect();
  }
};

const makeTopic = async (brokers: string, topic: string): Promise<void> => {
  const admin = client(brokers).admin();
  await admin.connect();
  try {
    await admin.createTopics({ topics: [{ topic }], waitForLeaders: true });
  } finally {
    await admin.disconnect();
  }
};

describe.skipIf(!(await requiresKafka()))('a broker for tests', () => {
  let own: PrivateKafka;
  beforeAll(async () => {
    own = await startPrivateKafka();
  });
  afterAll(() => own.stop());

  // Broken by: a server per caller, or a private one that is the shared one.
  it('is one for all, unless a spec wants its own', async () => {
    const [one, two] = await Promise.all([testKafka(), testKafka()]);
    expect(two).toEqual(one);
    await makeTopic(one.brokers, 'of-all');
    expect(await topics(one.brokers)).toContain('of-all');
    expect(await topics(own.brokers)).not.toContain('of-all');
  });

  // Broken by: another port or an empty folder after start(), and by a kill() that resolves before the process is gone.
  it('keeps its address and its topics over a kill', async () => {
    await makeTopic(own.brokers, 'kept');
    const { brokers } = own;
    await own.kill();
    expect(() => process.kill(own.server.pid, 0)).toThrow('ESRCH');
    await own.start();
    expect(own.brokers).toBe(brokers);
    expect(own.server.brokers).toBe(brokers);
    expect(await topics(brokers)).toContain('kept');
  });
});
