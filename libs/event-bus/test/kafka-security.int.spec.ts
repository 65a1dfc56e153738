import { type PrivateKafka, requiresKafka, startPrivateKafka } from '@pca/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KafkaEventBus, type KafkaEventBusOptions } from '../src/index.js';
import { messageOf, sequenceOf } from './messages.js';

const password = 'letmein7';
const users = { service: password };

describe.skipIf(!(await requiresKafka()))('the bus on a Kafka that is locked', () => {
  let broker: PrivateKafka;
  let options: KafkaEventBusOptions;

  beforeAll(async () => {
    broker = await startPrivateKafka({ users });
    const { brokers = '', certificate = '' } = broker.secure ?? {};
    options = { brokers, ssl: { ca: certificate } };
  });
  afterAll(() => broker?.stop());

  // Broken by: options that reach one of the connections alone: publishing, questions and consuming have their own.
  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('publishes, asks and consumes over TLS and %s', async (mechanism) => {
    const topic = `locked-${mechanism}.v1`;
    const bus = await KafkaEventBus.connect({ ...options, sasl: { mechanism, username: 'service', password } });
    const got: number[] = [];
    await bus.subscribe({ group: 'locked', topics: [topic], handle: async (messages) => void got.push(...messages.map(sequenceOf)) });
    await bus.publish([1, 2, 3].map((sequence) => messageOf(topic, 'key', sequence)));
    await expect.poll(() => got).toEqual([1, 2, 3]);
    await expect.poll(async () => (await bus.lag('locked')).filter((lag) => lag.topic === topic && lag.lag > 0)).toEqual([]);
    await bus.close();
  });

  // Broken by: a certificate that nobody checks, a password that is not asked for, a refusal that is waited out for minutes.
  it('is refused where the certificate, the password or both are missing', async () => {
    const sasl = { mechanism: 'scram-sha-512', username: 'service', password } as const;
    const refused = { code: 'SERVICE_UNAVAILABLE' };
    const { brokers } = options;
    // Short for these alone, some of which are waited out: who is let in may take as long as the machine needs.
    const limits = { queryMsMax: 3_000 };
    await expect(KafkaEventBus.connect({ brokers, limits, ssl: true, sasl })).rejects.toMatchObject(refused);
    await expect(KafkaEventBus.connect({ brokers, limits, sasl })).rejects.toMatchObject(refused);
    await expect(KafkaEventBus.connect({ ...options, limits })).rejects.toMatchObject(refused);
    await expect(KafkaEventBus.connect({ ...options, limits, sasl: { ...sasl, password: 'wrong' } })).rejects.toMatchObject(refused);
    const withPlain = { ...sasl, mechanism: 'plain', password: 'wrong' } as const;
    await expect(KafkaEventBus.connect({ ...options, limits, sasl: withPlain })).rejects.toMatchObject(refused);
  });
});
