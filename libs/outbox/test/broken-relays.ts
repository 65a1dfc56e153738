import { setTimeout as sleep } from 'node:timers/promises';
import { decodeMessage, type EventPublisher } from '@pca/event-bus';
import type pg from 'pg';
import type { OutboxRelay } from '../src/index.js';

export type Relaying = Pick<OutboxRelay, 'start' | 'stop'>;
type MakeRelay = (pool: pg.Pool, publisher: EventPublisher) => Relaying;

interface Row {
  id: string;
  topic: string;
  message: string;
}

const messagesOf = (rows: readonly Row[]) => rows.map(({ topic, message }) => decodeMessage(topic, message));
const idsOf = (rows: readonly Row[]) => rows.map(({ id }) => id);

const looping = (step: () => Promise<unknown>): Relaying => {
  let stopped = false;
  let running: Promise<void> | undefined;
  const run = async () => {
    while (!stopped) {
      await step().catch(() => undefined);
      await sleep(5);
    }
  };
  return {
    start: () => void (running ??= run()),
    stop: async () => {
      stopped = true;
      await running;
    },
  };
};

/** Relays as they are often written, and wrong: the tests of the relay must be able to tell. */
export const brokenRelays: Readonly<Record<string, MakeRelay>> = {
  'deletes before it publishes': (pool, publisher) =>
    looping(async () => {
      const { rows } = await pool.query<Row>(
        'delete from outbox where id in (select id from outbox order by id limit 50) returning id, topic, message',
      );
      await publisher.publish(messagesOf(rows.sort((a, b) => Number(a.id) - Number(b.id))));
    }),
  'goes by a cursor': (pool, publisher) => {
    let cursor = '0';
    return looping(async () => {
      const { rows } = await pool.query<Row>('select id, topic, message from outbox where id > $1 order by id limit 50', [cursor]);
      await publisher.publish(messagesOf(rows));
      cursor = rows.at(-1)?.id ?? cursor;
      await pool.query('delete from outbox where id = any ($1::bigint[])', [idsOf(rows)]);
    });
  },
  'skips what it could not publish': (pool, publisher) =>
    looping(async () => {
      const { rows } = await pool.query<Row>('select id, topic, message from outbox order by id limit 50');
      for (const row of rows) {
        await publisher.publish(messagesOf([row])).then(
          () => pool.query('delete from outbox where id = $1', [row.id]),
          () => undefined,
        );
      }
    }),
};
