// As the server `postgres` of the AsyncAPI document says: two SQL functions.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export const connect = async (url) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    publish: (topic, key, envelope) => client.query('select bus.publish($1, $2, $3)', [topic, key, JSON.stringify(envelope)]),
    consume: async (topic, print) => {
      const positions = new Map();
      for (;;) {
        for (let partition = 0; partition < 8; partition += 1) {
          const { rows } = await client.query('select "offset", key, envelope from bus.read($1, $2, $3, 100)', [
            topic,
            partition,
            positions.get(partition) ?? 0,
          ]);
          for (const { offset, envelope } of rows) {
            print(partition, envelope);
            positions.set(partition, Number(offset) + 1);
          }
        }
        await sleep(20);
      }
    },
  };
};
