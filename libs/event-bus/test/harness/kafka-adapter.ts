import { freePort, startPrivateKafka, testKafka } from '@pca/testing';
import { Kafka, logLevel } from 'kafkajs';
import { v7 as uuidv7 } from 'uuid';
import { KafkaEventBus } from '../../src/index.js';
import { startTcpProxy } from '../tcp-proxy.js';
import type { Bus, BusAdapter, BusHarness, ConnectOptions, PlainConfig } from './bus-harness.js';

const harnessOn = (
  brokersOf: (options: ConnectOptions) => string,
  limits: { sessionMsMax: number },
  stop: () => Promise<void>,
): BusHarness => {
  const brokers = brokersOf({});
  const config: PlainConfig = { bus: 'kafka', brokers, limits };
  const opened: Bus[] = [];
  return {
    config,
    connect: async (options = {}) => {
      const { topics, observer, queryMsMax } = options;
      const bus = await KafkaEventBus.connect({
        brokers: brokersOf(options),
        limits: { ...limits, ...(queryMsMax !== undefined && { queryMsMax }) },
        ...(topics && { topics }),
        ...(observer && { observer }),
      });
      opened.push(bus);
      return bus;
    },
    bytesOf: ({ envelope }) => Buffer.from(JSON.stringify(envelope)),
    appendRaw: async (topic, value) => {
      const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
      const producer = kafka.producer();
      const admin = kafka.admin();
      await Promise.all([producer.connect(), admin.connect()]);
      await admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: 2, name: topic, configEntries: [{ name: 'max.message.bytes', value: String(16 * 1024 * 1024) }] }],
      });
      await producer.send({ topic, messages: [{ key: uuidv7(), value }] });
      await Promise.all([producer.disconnect(), admin.disconnect()]);
    },
    // The broker's log is written by the broker alone: there is no commit of ours that could come late.
    delayCommits: () => Promise.resolve(),
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
    return harnessOn(
      () => brokers,
      { sessionMsMax: 6_000 },
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
    const harness = harnessOn(({ overLink }) => (overLink ? host : broker.brokers), { sessionMsMax: 3_000 }, stop);
    return { ...harness, link, kill: () => broker.kill(), start: () => broker.start() };
  },
};
