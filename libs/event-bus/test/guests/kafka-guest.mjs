// As the server `kafka` of the AsyncAPI document says: key and JSON value.
import kafkajs from 'kafkajs';

export const connect = async (brokers) => {
  const kafka = new kafkajs.Kafka({ clientId: 'guest', brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING });
  return {
    publish: async (topic, key, envelope) => {
      const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
      await producer.connect();
      await producer.send({ topic, messages: [{ key, value: JSON.stringify(envelope) }] });
      await producer.disconnect();
    },
    consume: async (topic, print) => {
      const consumer = kafka.consumer({ groupId: 'guest', maxWaitTimeInMs: 100 });
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await consumer.run({
        eachMessage: ({ partition, message }) => Promise.resolve(print(partition, JSON.parse(message.value?.toString() ?? 'null'))),
      });
    },
  };
};
