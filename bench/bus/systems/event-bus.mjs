// Our own bus over either of its adapters, as a service uses it: `checked` parses each event by its contract, `inbox` handles each batch in
// a transaction that remembers what was handled.
import { parseEvent } from '@pca/contracts';
import { connectEventBus } from '@pca/event-bus';
import { ensureInboxTable, openGroup, receive } from '@pca/outbox';
import pg from 'pg';

const connect = ({ url, brokers }) => connectEventBus(url ? { bus: 'postgres', url } : { bus: 'kafka', brokers });

export const prepare = async (place) => {
  const bus = await connect(place);
  await bus.close();
};

export const openWriter = async (place) => {
  const bus = await connect(place);
  return { write: (messages) => bus.publish(messages), close: () => bus.close() };
};

/** What a batch goes through before it counts as handled. */
const openHandling = async ({ url, group, inbox }) => {
  if (!inbox) return { once: (messages) => messages, close: () => undefined };
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  await ensureInboxTable(pool);
  const opened = await openGroup(pool, group);
  const once = async (messages) => {
    const client = await pool.connect();
    try {
      await client.query('begin');
      const received = await receive(client, opened, messages);
      await client.query('commit');
      return received.map(({ message }) => message);
    } finally {
      client.release();
    }
  };
  return { once, close: () => pool.end() };
};

export const openConsumer = async (place, handle) => {
  const { topic, group, checked } = place;
  const bus = await connect(place);
  const handling = await openHandling(place);
  const subscription = await bus.subscribe({
    group,
    topics: [topic],
    handle: async (messages) => {
      const parsed = checked ? messages.map((message) => ({ ...message, envelope: parseEvent(message.envelope) })) : messages;
      handle((await handling.once(parsed)).map(({ envelope }) => envelope));
    },
  });
  const partitions = () => Object.values(subscription.positions()).reduce((sum, { size }) => sum + size, 0);
  while (partitions() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return {
    isCommitted: async () => (await bus.lag(group)).every(({ lag }) => lag === 0),
    close: async () => {
      await bus.close();
      await handling.close();
    },
  };
};
