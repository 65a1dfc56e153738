import { defineEvent, makeEvent } from '@pca/contracts';
import type { EventBusConfig } from '@pca/event-bus';
import { enqueue, inboxTableSql, outboxTableSql } from '@pca/outbox';
import pino from 'pino';
import type { EntityManager, MigrationInterface, QueryRunner } from 'typeorm';
import { z } from 'zod';
import {
  type ConsumeContext,
  type ConsumedEvent,
  type ConsumerDefinition,
  createDataSource,
  Database,
  followingFrom,
  on,
  ServiceBus,
} from '../src/index.js';

const schema = z.object({ order: z.string(), sequence: z.int() });
const common = {
  topic: 'test-orders.events.v1',
  producer: 'test',
  description: 'Of a test.',
  schema,
  key: ({ order }: { order: string }) => order,
};

export const orderPlaced = defineEvent({ ...common, type: 'test-order.placed.v1' });
export const orderChanged = defineEvent({ ...common, type: 'test-order.changed.v1' });
/** Nobody here consumes it. */
export const orderSeen = defineEvent({ ...common, type: 'test-order.seen.v1' });
/** What the consumer tells others. */
export const orderBilled = defineEvent({ ...common, type: 'test-order.billed.v1', topic: 'test-bills.events.v1' });

type Order = z.infer<typeof schema>;

class Orders1 implements MigrationInterface {
  name = 'Orders1700000000000';
  async up(runner: QueryRunner): Promise<void> {
    for (const sql of [inboxTableSql, outboxTableSql]) await runner.query(sql);
    // Adds up and remembers the order, so that no repeat leaves it as it is.
    await runner.query('create table tally (name text primary key, total int not null, path text not null)');
  }
  async down(): Promise<void> {}
}

export const openOrders = async (url: string, statementMsMax = 30_000): Promise<Database> => {
  const options = { name: 'orders', url, entities: [], migrations: [Orders1], poolMax: 12, statementMsMax };
  const database = new Database(createDataSource(options));
  await database.start(() => undefined);
  return database;
};

export const silentBus = (config: EventBusConfig): ServiceBus => new ServiceBus(config, pino({ level: 'silent' }));

export const logger = pino({ level: 'silent' });

/** The projection: what happened to an order, in the order in which it did. */
const add = async (transaction: EntityManager, { order, sequence }: Order, mark: string): Promise<void> => {
  await transaction.query(
    `insert into tally values ($1, 1, $2) on conflict (name) do update set total = tally.total + 1, path = tally.path || ' ' || $2`,
    [order, `${mark}${sequence}`],
  );
};

type Hook = (events: readonly ConsumedEvent<Order>[], context: ConsumeContext) => unknown;

/** A consumer with a projection that bills each order that is placed; the hook comes after both. */
export const ordersConsumer = (group: string, topic: string, hook: Hook = () => undefined): ConsumerDefinition => ({
  group,
  retryMs: 5,
  on: [
    on({ ...orderPlaced, topic }, async (events, context) => {
      for (const event of events) {
        await add(context.transaction, event.envelope.payload, 'p');
        await enqueue(context.transaction, [makeEvent(orderBilled, event.envelope.payload, followingFrom(event))]);
      }
      await hook(events, context);
    }),
    on({ ...orderChanged, topic }, async (events, context) => {
      for (const event of events) await add(context.transaction, event.envelope.payload, 'c');
      await hook(events, context);
    }),
  ],
  reset: async (transaction) => {
    await transaction.query('truncate tally');
  },
});

export const placed = (order: string, sequence: number) =>
  makeEvent(orderPlaced, { order, sequence }, { workspaceId: 'test', correlationId: 'c' });
export const changed = (order: string, sequence: number) =>
  makeEvent(orderChanged, { order, sequence }, { workspaceId: 'test', correlationId: 'c' });

/** The projection by order. */
export const tallies = async ({ pool }: Database): Promise<Record<string, string>> => {
  const { rows } = await pool.query<{ name: string; path: string }>('select name, path from tally order by name');
  return Object.fromEntries(rows.map(({ name, path }) => [name, path]));
};

/** The events that the consumer told of, by what led to them. */
export const bills = async ({ pool }: Database): Promise<string[]> => {
  const { rows } = await pool.query<{ cause: string }>(
    `select message::json #>> '{envelope,causationId}' as cause from outbox order by id`,
  );
  return rows.map(({ cause }) => cause);
};
