// Events that commit with rows, from transactions of a business database to the bus: the consumer's side is the relay, and an event is
// handled when it is on the bus and gone from the outbox.
import { PostgresEventBus } from '@pca/event-bus';
import { enqueue, ensureOutboxTable, OutboxRelay } from '@pca/outbox';
import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';

// The relay is slower than four writers; how far they may get ahead is the backlog, and only what the table grows beyond that is bloat.
const backlogMax = 10_000;

export const prepare = async ({ url }) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await ensureOutboxTable(client);
  await client.query('create table account (id int primary key, changes int not null default 0)');
  await client.query('insert into account select generate_series(0, 3)');
  await client.end();
};

export const openWriter = async ({ url, callers }) => {
  const pool = new pg.Pool({ connectionString: url, max: callers });
  let unlooked = 0;
  return {
    write: async (messages, caller) => {
      const client = await pool.connect();
      try {
        await client.query('begin');
        await client.query('update account set changes = changes + 1 where id = $1', [caller]);
        await enqueue(client, messages);
        await client.query('commit');
        if ((unlooked += messages.length) < 1000) return;
        unlooked = 0;
        while ((await client.query('select max(id) - min(id) as waiting from outbox')).rows[0].waiting > backlogMax) await sleep(10);
      } finally {
        client.release();
      }
    },
    close: () => pool.end(),
  };
};

export const openConsumer = async ({ url }, handle) => {
  const pool = new pg.Pool({ connectionString: url });
  const bus = await PostgresEventBus.connect({ url });
  const relay = new OutboxRelay({
    pool,
    publisher: {
      publish: async (messages) => {
        await bus.publish(messages);
        handle(messages.map(({ envelope }) => envelope));
      },
    },
    onError: (error) => {
      throw error;
    },
    pollMs: 10,
  });
  relay.start();
  return {
    isCommitted: async () => (await relay.depth()) === 0,
    close: async () => {
      await relay.stop();
      await bus.close();
      await pool.end();
    },
  };
};
