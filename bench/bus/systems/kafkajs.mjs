// kafkajs with nothing around it: `send` as its caller calls it, and `eachBatch` with a commit after each batch.
import kafkajs from 'kafkajs';

const connect = ({ brokers }) =>
  new kafkajs.Kafka({
    clientId: 'bench',
    brokers: brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { initialRetryTime: 20, retries: 20 },
  });

export const prepare = async (place) => {
  const admin = connect(place).admin();
  await admin.connect();
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic: place.topic, numPartitions: place.partitions }] });
  await admin.disconnect();
};

export const openWriter = async (place) => {
  const producer = connect(place).producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  return {
    write: (messages) =>
      producer.send({
        topic: place.topic,
        acks: -1,
        messages: messages.map(({ key, envelope }) => ({ key, value: JSON.stringify(envelope) })),
      }),
    close: () => producer.disconnect(),
  };
};

export const openConsumer = async (place, handle) => {
  const consumer = connect(place).consumer({ groupId: place.group, maxWaitTimeInMs: 100 });
  let open = 0;
  await consumer.connect();
  await consumer.subscribe({ topic: place.topic, fromBeginning: true });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) throw payload.error;
  });
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      open += 1;
      handle(batch.messages.map(({ value }) => JSON.parse(value.toString())));
      const offset = (BigInt(batch.lastOffset()) + 1n).toString();
      await consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset }]);
      open -= 1;
    },
  });
  await joined;
  return { isCommitted: () => open === 0, close: () => consumer.disconnect() };
};
