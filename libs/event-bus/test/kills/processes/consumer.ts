import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@pca/errors';
import { type Group, openGroup } from '@pca/outbox';
import pg from 'pg';
import { type BatchHandler, connectEventBus, type DeliveredMessage, type EventBusObserver } from '../../../src/index.js';
import { randomFrom } from '../../random.js';
import { applyEffects } from '../effects.js';
import { type ConsumerOrders, ordersOf, untilDone } from './orders.js';

// A service that consumes, with its effects in a database of its own. Says `holds` when a handler's effects are written and not committed.
// SIGTERM drains it.
const { bus: config, topic, effectsUrl, groups, seed, batchSize, slowMs, throws, attemptsMax } = ordersOf<ConsumerOrders>();
const random = randomFrom(undefined, seed);
const pool = new pg.Pool({
  connectionString: effectsUrl,
  max: 12,
  connectionTimeoutMillis: 2_000,
  // What a process holds that was stopped in the middle of a transaction, others wait for.
  idle_in_transaction_session_timeout: 2_000,
});
pool.on('error', () => undefined);
// A connection may break before whoever asked for it listens.
pool.on('connect', (client) => client.on('error', () => undefined));

/** Of the message's making, and so an attempt; never the last ones. */
class Whim extends Error {}
const whim = (messages: readonly DeliveredMessage[]): void => {
  if (random.chance(throws) && (messages[0]?.attempt ?? 0) < 3) throw new Whim('changed my mind');
};

const inTransaction = async (group: Group, messages: readonly DeliveredMessage[]): Promise<void> => {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('begin');
    await applyEffects(client, group, messages);
    process.stdout.write('holds\n');
    if (random.chance(0.5)) await sleep(random.below(slowMs));
    whim(messages);
    await client.query('commit');
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
  }
};

const handlerOf =
  (group: Group): BatchHandler =>
  async (messages) => {
    if (messages.some(({ key }) => key.startsWith(`kills:${group.name}:`))) process.kill(process.pid, 'SIGKILL');
    try {
      await inTransaction(group, messages);
    } catch (error) {
      // Everything else that fails here is the database, which is away.
      throw error instanceof Whim ? error : new DomainError('SERVICE_UNAVAILABLE', 'The database is away', {}, { cause: error });
    }
    // Here the effect is there, and the bus does not know yet.
    if (random.chance(0.5)) await sleep(random.below(slowMs));
    whim(messages);
  };

const tell = (what: string, error: unknown) => process.stdout.write(`${new Date().toISOString()} ${what} ${String(error)}\n`);
const observer: EventBusObserver = {
  connectionLost: (error) => tell('lost', error),
  retrying: ({ partition, offset }, error) => tell(`retrying ${partition}/${offset}`, error),
};
const bus = await untilDone(() => connectEventBus({ ...config, observer }));
for (const name of groups) {
  const group = await untilDone(() => openGroup(pool, name));
  await untilDone(() => bus.subscribe({ group: name, topics: [topic], handle: handlerOf(group), batchSize, attemptsMax, retryMs: 20 }));
}
process.once('SIGTERM', () => {
  void (async () => {
    await bus.close();
    await pool.end();
  })();
});
process.stdout.write('started\n');
