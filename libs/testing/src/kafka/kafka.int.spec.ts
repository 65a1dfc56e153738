import { connect, createServer } from 'node:net';
import { freePort } from '@pca/embedded-postgres';
import { Kafka, logLevel, type SASLOptions } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PrivateKafka, requiresKafka, startPrivateKafka, testKafka } from './kafka.js';

const client = (brokers: string): Kafka =>
  new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 5 } });

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

  // Broken by: clients that are told the broker's own port and so go past what stands in between.
  it('sends clients through a proxy that stands before it', async () => {
    const [behind, before] = [await freePort(), await freePort()];
    let connections = 0;
    const proxy = createServer((socket) => {
      connections += 1;
      const broker = connect(behind, '127.0.0.1');
      for (const end of [socket, broker]) end.on('error', () => undefined);
      socket.pipe(broker).pipe(socket);
    });
    await new Promise<void>((resolve) => proxy.listen(before, '127.0.0.1', resolve));
    const proxied = await startPrivateKafka({
      listeners: [{ name: 'PROXIED', port: behind, advertisedPort: before, protocol: 'PLAINTEXT' }],
    });
    await makeTopic(`127.0.0.1:${before}`, 'through');
    const admin = client(`127.0.0.1:${before}`).admin();
    await admin.connect();
    expect((await admin.describeCluster()).brokers).toMatchObject([{ port: before }]);
    await admin.disconnect();
    expect(connections).toBeGreaterThan(1);
    expect(await topics(proxied.brokers)).toEqual(['through']);
    await proxied.stop();
    proxy.close();
  });

  // Broken by: a listener that lets in who has no password or the wrong one, or one whose certificate does not fit its address.
  it('has a way in with TLS and SASL for users, by each mechanism', async () => {
    const guarded = await startPrivateKafka({ users: { alice: 'secret' } });
    const { brokers, certificate } = guarded.secure!;
    const enter = async (mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512', password: string): Promise<void> => {
      const ssl = { ca: [certificate] };
      // kafkajs types each mechanism on its own.
      const sasl = { mechanism, username: 'alice', password } as SASLOptions;
      const admin = new Kafka({ brokers: [brokers], ssl, sasl, logLevel: logLevel.NOTHING, retry: { retries: 0 } }).admin();
      try {
        await admin.connect();
        await admin.listTopics();
      } finally {
        await admin.disconnect();
      }
    };
    for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
      await enter(mechanism, 'secret');
      await expect(enter(mechanism, 'guessed'), mechanism).rejects.toThrow(/authentication/i);
    }
    await expect(topics(brokers)).rejects.toThrow();
    await guarded.kill();
    await guarded.start();
    await enter('scram-sha-512', 'secret');
    await guarded.stop();
  });
});
