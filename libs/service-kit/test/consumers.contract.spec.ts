import { setTimeout as sleep } from 'node:timers/promises';
import { type BusMessage } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { deadLettered, type EventBusConfig, handled, openDeadLetters, redrive, skipped } from '@pca/event-bus';
import { openGroup } from '@pca/outbox';
import { requiresKafka, testKafka, type TestPostgres, testPostgres } from '@pca/testing';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  beginReplay,
  type ConsumerDefinition,
  type Database,
  type EventHandle,
  replayProgress,
  seams,
  type ServiceBus,
  startConsumers,
  type Transaction,
} from '../src/index.js';
import { bills, changed, logger, openOrders, orderSeen, ordersConsumer, placed, silentBus, tallies } from './orders.js';

const waiting = { timeout: 60_000 };

const consumersContract = (configure: (postgres: TestPostgres) => Promise<EventBusConfig>): void => {
  let postgres: TestPostgres;
  let config: EventBusConfig;
  let database: Database;
  let bus: ServiceBus;
  let group: string;
  let url: string;
  let topic: string;
  const cleanUps: (() => unknown)[] = [];

  beforeAll(async () => {
    postgres = await testPostgres();
    config = await configure(postgres);
  });
  afterAll(() => postgres.stop());
  beforeEach(async () => {
    ({ url } = await postgres.createDatabase());
    database = await openOrders(url);
    bus = silentBus(config);
    group = `orders-${uuidv7()}`;
    topic = `test-orders-${uuidv7()}.events.v1`;
    cleanUps.push(
      () => database.stop(),
      () => bus.close(),
    );
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  const start = (definition: ConsumerDefinition, on: { database: Database; bus: ServiceBus } = { database, bus }) => {
    const running = startConsumers({ ...on, logger }, [definition]);
    cleanUps.push(() => running.close());
    return running;
  };
  const started = async (definition: ConsumerDefinition, on?: { database: Database; bus: ServiceBus }) => {
    const running = start(definition, on);
    await expect.poll(() => running.absent(), waiting).toEqual([]);
    return running;
  };
  const publish = (...messages: BusMessage[]) => bus.publish(messages.map((message) => ({ ...message, topic })));
  type Hook = Parameters<typeof ordersConsumer>[2];
  const consumer = (hook?: Hook): ConsumerDefinition => ordersConsumer(group, topic, hook);
  const letters = async () => openDeadLetters(await bus.open(), { topic, group });
  const untilTallied = (expected: Record<string, string>) => expect.poll(() => tallies(database), waiting).toEqual(expected);

  // Broken by: a handler called type by type, which turns the order of a key around; a type that holds up others; a parse in the handler's
  // place, which would throw.
  it('calls each handler in the order of the events, skips what it does not name, and gives up what breaks a contract', async () => {
    await started(consumer());
    const good = [placed('a', 1), changed('a', 2), placed('a', 3), changed('b', 1), changed('a', 4)];
    const bad = {
      'Unknown event type test-order.lost.v1': { type: 'test-order.lost.v1' },
      'Unknown event type test-order.placed.v7; known is test-order.placed.v1': { type: 'test-order.placed.v7' },
      'test-order.placed.v1 has version 1, not 2': { version: 2 },
      'Bad payload of test-order.placed.v1: sequence: Invalid input: expected number, received string': {
        payload: { order: 'a', sequence: 'x' },
      },
      'Not an event envelope: id: Invalid UUID': { id: 'order-77' },
      'Not an event envelope: occurredAt: Invalid ISO datetime': { occurredAt: 'yesterday' },
    };
    const broken = Object.values(bad).map((change) => ({ ...placed('a', 9), envelope: { ...placed('a', 9).envelope, ...change } }));
    const seen = { ...placed('a', 9), envelope: { ...placed('a', 9).envelope, type: orderSeen.type, payload: 'not even looked at' } };
    await publish(...good.slice(0, 2), ...broken, seen, ...good.slice(2));
    await untilTallied({ a: 'p1 c2 p3 c4', b: 'c1' });
    expect((await bills(database)).length).toBe(2);
    await expect.poll(async () => (await letters()).map(({ reason }) => reason).toSorted(), waiting).toEqual(Object.keys(bad).toSorted());
    expect((await letters()).every(({ attempts }) => attempts === 1)).toBe(true);
  });

  // Broken by: an inbox that is asked all the same, which would hold the repeat back; runs in the order of the events, which call a handler
  // of two types once for each change between them; a repeat that is taken for a letter.
  it('gives a consumer without an inbox everything, repeats too, and each type of a batch in one call', async () => {
    const calls: { type: string; keys: string[] }[] = [];
    const definition = consumer((events) => {
      calls.push({ type: events[0]!.envelope.type, keys: events.map(({ key }) => key) });
    });
    const messages = [placed('a', 1), changed('a', 2), placed('a', 3), changed('a', 4)];
    await publish(...messages, messages[0]!);
    await started({ ...definition, inbox: false });
    await untilTallied({ a: 'p1 p3 p1 c2 c4' });
    expect(calls).toEqual([
      { type: 'test-order.placed.v1', keys: ['a', 'a', 'a'] },
      { type: 'test-order.changed.v1', keys: ['a', 'a'] },
    ]);
    const { rows } = await database.pool.query<{ count: number }>('select count(*)::int from inbox');
    expect(rows).toEqual([{ count: 0 }]);
    expect(await letters()).toEqual([]);
  });

  // Broken by: an inbox that remembers what was given up, so that its redrive is taken for a repeat.
  it('keeps what a handler answers, and handles what it gave up when that is redriven', async () => {
    let cured = false;
    const definition = consumer();
    const [placing] = definition.on;
    const calls: string[] = [];
    await started({
      ...definition,
      on: [
        {
          event: placing!.event,
          handle: async (events, context) => {
            const isSick = ({ key }: { key: string }) => key === 'sick' && !cured;
            calls.push(...events.map(({ key }) => key));
            await placing!.handle(
              events.filter((event) => !isSick(event) && event.key !== 'dull'),
              context,
            );
            return events.map((event) => (isSick(event) ? deadLettered('not today') : event.key === 'dull' ? skipped('dull') : handled));
          },
        },
      ],
    });
    await publish(placed('sick', 1), placed('well', 1), placed('dull', 1));
    await expect.poll(async () => (await letters()).map(({ reason, key }) => [reason, key]), waiting).toEqual([['not today', 'sick']]);
    await untilTallied({ well: 'p1' });
    cured = true;
    expect((await redrive(await bus.open(), { topic, group })).redriven).toHaveLength(1);
    await untilTallied({ sick: 'p1', well: 'p1' });
    expect(calls.toSorted()).toEqual(['dull', 'sick', 'sick', 'well']);
  });

  // Broken by: an effect outside the transaction, an attempt that is counted for what is nobody's fault.
  it('undoes a call that throws, tries again, and gives up only what fails by itself', async () => {
    const failures = { once: 1, answers: Number.POSITIVE_INFINITY, elsewhere: 8 };
    const definition = consumer((events) => {
      if (events.some(({ key }) => key === 'elsewhere') && failures.elsewhere-- > 0)
        throw new DomainError('SERVICE_UNAVAILABLE', 'what it needs is away');
      if (events.some(({ key }) => key === 'once') && failures.once-- > 0) throw new Error('once');
      if (events.some(({ key }) => key === 'never')) throw new Error('never');
    });
    await started({ ...definition, retryMs: 1, attemptsMax: 3 });
    await publish(placed('once', 1), placed('never', 1), placed('elsewhere', 1), placed('well', 1), changed('once', 2));
    await untilTallied({ elsewhere: 'p1', once: 'p1 c2', well: 'p1' });
    await expect
      .poll(async () => (await letters()).map(({ reason, attempts }) => [reason, attempts]), waiting)
      .toEqual([['Error: never', 3]]);
    expect(await bills(database)).toHaveLength(3);
  });

  // Broken by: a wait for a lock that ends with the statement timeout, which counts against the messages and buries them.
  it('waits for a lock that others hold, however long, and for a long reset of a replay, and gives nothing up', async () => {
    const impatient = await openOrders(url, 600);
    cleanUps.push(() => impatient.stop());
    let calls = 0;
    cleanUps.push(seams.consumer.use((call) => void (call.group === group && (calls += 1))));
    const morePatientThanAttempts = () => {
      const before = calls;
      return expect.poll(() => calls - before, waiting).toBeGreaterThan(4);
    };
    const definition = { ...consumer(), attemptsMax: 2, retryMs: 1 };
    await started(definition, { database: impatient, bus });
    await database.transaction(async (transaction) => {
      await transaction.query('lock table tally in access exclusive mode');
      await publish(placed('a', 1));
      await morePatientThanAttempts();
    });
    await untilTallied({ a: 'p1' });
    const reset = async (transaction: Transaction) => {
      await definition.reset?.(transaction);
      await publish(changed('a', 2));
      await morePatientThanAttempts();
    };
    await beginReplay({ database, bus }, { ...definition, reset });
    await untilTallied({ a: 'p1 c2' });
    expect(await letters()).toEqual([]);
  });

  // Broken by: a repeat of the bus that is handled again.
  it('handles once what is published several times', async () => {
    await started(consumer());
    const messages = [placed('a', 1), changed('a', 2)];
    await publish(...messages, ...messages);
    await publish(...messages, changed('a', 3));
    await untilTallied({ a: 'p1 c2 c3' });
    expect(await bills(database)).toHaveLength(1);
  });

  it('passes the seam of consumers before each call, which may wait or throw', async () => {
    const passed: string[] = [];
    const remove = seams.consumer.use(async (call) => {
      await sleep(1);
      if (call.group === group && passed.push(`${call.topic} ${call.group}`) === 1) throw new Error('a fault');
    });
    cleanUps.push(remove);
    await started(consumer());
    await publish(placed('a', 1));
    await untilTallied({ a: 'p1' });
    expect(passed).toEqual([`${topic} ${group}`, `${topic} ${group}`]);
  });

  // Broken by: a wish that a new generation of the subscription forgets.
  it('is paused, resumed and delayed by name, also over a replay', async () => {
    const running = await started(consumer());
    running.pause(group);
    await publish(placed('a', 1));
    await beginReplay({ database, bus }, consumer());
    await expect.poll(async () => running.absent().length === 0 && (await openGroup(database.pool, group)).generation, waiting).toBe(1);
    await sleep(1_500);
    expect(await tallies(database)).toEqual({});
    running.delay(group, 5);
    running.resume(group);
    await expect.poll(async () => (await tallies(database))['a'], waiting).toBe('p1');
    expect(() => running.pause('nobody')).toThrow('no group nobody');
  });

  describe('a replay', () => {
    const pathsOf = (messages: readonly BusMessage[]): Record<string, string> => {
      const marks = messages.map(({ key, envelope }) => ({
        key,
        mark: `${envelope.type.includes('placed') ? 'p' : 'c'}${(envelope.payload as { sequence: number }).sequence}`,
      }));
      const byKey = Object.groupBy(marks, ({ key }) => key);
      return Object.fromEntries(
        Object.keys(byKey)
          .toSorted()
          .map((key) => [key, (byKey[key] ?? []).map(({ mark }) => mark).join(' ')]),
      );
    };
    const causesOf = (messages: readonly BusMessage[]): string[] =>
      messages.filter(({ envelope }) => envelope.type.includes('placed')).map(({ envelope }) => envelope.id);
    const some = (count: number, from = 0): BusMessage[] =>
      Array.from({ length: count }, (_, i) => {
        const order = `order-${(from + i) % 7}`;
        return ((from + i) % 3 === 0 ? placed : changed)(order, from + i);
      });

    // Broken by: an end of the topic in place of the group's position (the backlog would never be told), an inbox that is emptied (what was
    // handled beyond the position would be told twice), an old generation that still writes, a new one that nobody joins.
    it('makes the projection anew from two running instances, and tells each event to others once in all', async () => {
      const definition = consumer();
      const second = { database: await openOrders(url), bus: silentBus(config) };
      cleanUps.push(
        () => second.database.stop(),
        () => second.bus.close(),
      );
      const instances = [await started(definition), await started(definition, second)];
      const past = some(200);
      await publish(...past);
      await untilTallied(pathsOf(past));
      expect((await bills(database)).toSorted()).toEqual(causesOf(past).toSorted());

      for (const instance of instances) instance.pause(group);
      const backlog = some(60, 200);
      await publish(...backlog);
      const begun = await beginReplay({ database, bus }, definition);
      expect(begun.generation).toBe(1);
      expect(await tallies(database)).toEqual({});
      const progress = await replayProgress(bus, definition, begun);
      for (const instance of instances) instance.resume(group);
      const later = some(60, 260);
      await publish(...later);
      const all = [...past, ...backlog, ...later];
      await untilTallied(pathsOf(all));
      await expect.poll(async () => (await bills(database)).toSorted(), waiting).toEqual(causesOf(all).toSorted());
      await expect.poll(progress, waiting).toEqual({ done: 260, total: 260 });

      // Twice more, with nothing new that could wake anybody: same projection, nothing told.
      for (const generation of [2, 3]) {
        expect((await beginReplay({ database, bus: second.bus }, definition)).generation).toBe(generation);
        await untilTallied(pathsOf(all));
      }
      expect((await bills(database)).toSorted()).toEqual(causesOf(all).toSorted());
      expect((await letters()).length).toBe(0);
    });

    // Broken by: a second replay that takes the half-way position of the first one for all that was ever told.
    it('tells nothing twice when it is begun again before it has caught up', async () => {
      let slow = false;
      const definition = { ...consumer(() => (slow ? sleep(20) : undefined)), batchSize: 10, concurrency: 1 };
      await started(definition);
      const past = some(150);
      await publish(...past);
      await untilTallied(pathsOf(past));
      slow = true;
      for (let round = 0; round < 3; round += 1) {
        await beginReplay({ database, bus }, definition);
        await expect.poll(async () => Object.keys(await tallies(database)).length, waiting).toBeGreaterThan(0);
      }
      slow = false;
      await untilTallied(pathsOf(past));
      expect((await bills(database)).toSorted()).toEqual(causesOf(past).toSorted());
    });

    const doubting = () => {
      const doubts = { isSick: false };
      const definition = consumer();
      const [placing] = definition.on;
      const handle: EventHandle<unknown> = async (events, context) =>
        doubts.isSick ? events.map(() => deadLettered('not today')) : placing!.handle(events, context);
      return { doubts, definition: { ...definition, on: [{ event: placing!.event, handle }] } };
    };

    // Broken by: an inbox that forgets what a replay has given up, so that its redrive counts as the first time.
    it('tells nothing twice of what it gives up and a redrive brings back', async () => {
      const { doubts, definition } = doubting();
      await started(definition);
      const message = placed('a', 1);
      await publish(message);
      await untilTallied({ a: 'p1' });
      doubts.isSick = true;
      await beginReplay({ database, bus }, definition);
      await expect.poll(async () => (await letters()).length, waiting).toBe(1);
      doubts.isSick = false;
      await redrive(await bus.open(), { topic, group });
      await untilTallied({ a: 'p1' });
      expect(await bills(database)).toEqual([message.envelope.id]);
    });

    // Broken by: a replay that takes what was given up for handled, and says nothing.
    it('is refused while dead letters are open, unless it is told to leave out what follows from them', async () => {
      const { doubts, definition } = doubting();
      await started(definition);
      const [first, second] = [placed('a', 1), placed('b', 1)];
      doubts.isSick = true;
      await publish(first);
      await expect.poll(async () => (await letters()).length, waiting).toBe(1);
      const refusal = {
        code: 'CONFLICT',
        message:
          `${group} has 1 open dead letters of ${topic}: a replay tells nobody what follows from them. ` +
          `Redrive them first: npm run redrive -- --topic ${topic} --group ${group}`,
      };
      await expect(beginReplay({ database, bus }, definition, { partial: true })).rejects.toMatchObject(refusal);
      expect((await openGroup(database.pool, group)).generation).toBe(0);
      doubts.isSick = false;
      await redrive(await bus.open(), { topic, group });
      await untilTallied({ a: 'p1' });
      await beginReplay({ database, bus }, definition);
      await untilTallied({ a: 'p1' });
      expect(await bills(database)).toEqual([first.envelope.id]);

      doubts.isSick = true;
      await publish(second);
      await expect.poll(async () => (await letters()).length, waiting).toBe(1);
      doubts.isSick = false;
      await beginReplay({ database, bus }, definition, { despiteDeadLetters: true });
      await untilTallied({ a: 'p1', b: 'p1' });
      expect(await bills(database)).toEqual([first.envelope.id]);
    });

    // Broken by: a projection that is emptied outside the transaction of the replay.
    it('is nothing at all when the projection cannot be emptied', async () => {
      const definition = consumer();
      await started(definition);
      await publish(...some(10));
      await untilTallied(pathsOf(some(10)));
      const failing: ConsumerDefinition = {
        ...definition,
        reset: async (transaction) => {
          await definition.reset?.(transaction);
          throw new Error('no');
        },
      };
      await expect(beginReplay({ database, bus }, failing)).rejects.toThrow('no');
      const { reset: _reset, ...without } = definition;
      await expect(beginReplay({ database, bus }, without)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
      expect((await openGroup(database.pool, group)).generation).toBe(0);
      await publish(...some(1, 10));
      await untilTallied(pathsOf(some(11)));
    });
  });
};

describe('on the log of Postgres', () => {
  consumersContract(async (postgres) => ({ bus: 'postgres', url: (await postgres.createDatabase()).url }));
});

describe.skipIf(!(await requiresKafka()))('on Kafka', () => {
  consumersContract(async () => ({ bus: 'kafka', brokers: (await testKafka()).brokers }));
});
