import { requiresKafka, testKafka } from '@pca/testing';
import { KafkaEventBus } from '../src/index.js';
import { eventPublisherContract } from './event-publisher.contract.js';
import { readAll } from './read-all.js';

if (await requiresKafka()) {
  eventPublisherContract('Kafka', async () => {
    const { brokers } = await testKafka();
    const reader = await KafkaEventBus.connect({ brokers });
    return {
      connect: () => KafkaEventBus.connect({ brokers }),
      readAll: (topic) => readAll(reader, topic),
      close: () => reader.close(),
    };
  });
}
