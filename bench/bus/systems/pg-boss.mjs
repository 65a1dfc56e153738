import { setTimeout as sleep } from 'node:timers/promises';
import { PgBoss } from 'pg-boss';

const queue = 'events';

const connect = async (url) => {
  const boss = new PgBoss({ connectionString: url, max: 8, supervise: false, schedule: false });
  boss.on('error', (error) => {
    throw error;
  });
  await boss.start();
  return boss;
};

const stop = (boss) => boss.stop({ graceful: false });

export const prepare = async ({ url }) => {
  const boss = await connect(url);
  await boss.createQueue(queue);
  await stop(boss);
};

export const openWriter = async ({ url }) => {
  const boss = await connect(url);
  return {
    write: (messages) =>
      boss.insert(
        queue,
        messages.map(({ envelope }) => ({ data: envelope })),
      ),
    close: () => stop(boss),
  };
};

/** By `fetch` and `complete`, because `work` looks for more no oftener than every half second unless its batches are full. */
export const openConsumer = async ({ url }, handle) => {
  const boss = await connect(url);
  let closing = false;
  let open = 0;
  const read = async () => {
    while (!closing) {
      const jobs = await boss.fetch(queue, { batchSize: 1000 });
      open = jobs.length;
      if (open === 0) {
        await sleep(2);
        continue;
      }
      handle(jobs.map(({ data }) => data));
      await boss.complete(
        queue,
        jobs.map(({ id }) => id),
      );
      open = 0;
    }
  };
  const reading = read();
  return {
    isCommitted: () => open === 0,
    close: async () => {
      closing = true;
      await reading;
      await stop(boss);
    },
  };
};
