import { freePort, startPrivateKafka, testKafka } from '@pca/testing';
import kafkajs from 'kafkajs';
import { v7 as uuidv7 } from 'uuid';
import { KafkaEventBus } from '../../src/index.js';
import { plainStage, withOptions } from '../scenarios/plain-stage.js';
import { startTcpProxy } from '../tcp-proxy.js';
import type { Bus, BusAdapter, BusHarness, ConnectOptions } from './bus-harness.js';

const { Kafka, logLevel, ConfigResourceTypes } = kafkajs;
const bytesMax = { name: 'max.message.bytes', value: String(16 * 1024 * 1024) };

const harnessOn = (brokersOf: (options: ConnectOptions) => string, sessionMsMax: number, stop: () => Promise<void>): BusHarness => {
  const brokers = brokersOf({});
  const config = { bus: 'kafka', brokers, limits: { sessionMsMax } } as const;
  const opened: Bus[] = [];
  return {
    ...plainStage(config),
    connect: async (options = {}) => {
      const bus = await KafkaEventBus.connect({ ...withOptions(config, options), brokers: brokersOf(options) });
      opened.push(bus);
      return bus;
    },
    bytesOf: ({ envelope }) => Buffer.from(JSON.stringify(envelope)),
    appendRaw: async (topic, value) => {
      const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
      const producer = kafka.producer();
      const admin = kafka.admin();
      await Promise.all([producer.connect(), admin.connect()]);
      const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [bytesMax] }];
      await admin.alterConfigs({ validateOnly: false, resources });
      await producer.send({ topic, messages: [{ key: uuidv7(), value }] });
      await Promise.all([producer.disconnect(), admin.disconnect()]);
    },
    close: async () => {
      await Promise.all(opened.splice(0).map((bus) => bus.close()));
      await stop();
    },
  };
};

export const kafkaAdapter: BusAdapter = {
  name: 'Kafka',
  shared: async () => {
    const { brokers } = await testKafka();
    // As on Postgres: nobody is given up here because the machine is slow.
    return harnessOn(
      () => brokers,
      15_000,
      () => Promise.resolve(),
    );
  },
  private: async () => {
    const port = await freePort();
    const link = await startTcpProxy(`tcp://127.0.0.1:${port}`);
    const { host, port: advertisedPort } = new URL(link.url);
    const broker = await startPrivateKafka({
      listeners: [{ name: 'LINK', port, advertisedPort: Number(advertisedPort), protocol: 'PLAINTEXT' }],
      // A member that says nothing is given up soon, so that tests need not wait.
      settings: { 'group.min.session.timeout.ms': '500' },
    });
    const stop = async () => {
      await link.close();
      await broker.stop();
    };
    const harness = harnessOn(({ overLink }) => (overLink ? host : broker.brokers), 3_000, stop);
    return { ...harness, link, kill: () => broker.kill(), start: () => broker.start() };
  },
};
