import { setTimeout as sleep } from 'node:timers/promises';
import { type BusMessage, deadLetter, deadLetterTopicOf, makeEvent } from '@pca/contracts';
import { v7 as uuidv7 } from 'uuid';
import { afterEach, expect, it } from 'vitest';
import {
  type BatchHandler,
  deadLettered,
  type DeliveredMessage,
  type EventBus,
  type EventBusAdmin,
  handled,
  openDeadLetters,
  readTopic,
  redrive,
  type SubscribeOptions,
} from '../src/index.js';
import { messageOf, sequenceOf } from './messages.js';

type Bus = EventBus & EventBusAdmin;

/** Dead letters and their return, the same on every adapter. */
export const redriveContract = (open: () => Promise<Bus>): void => {
  const buses: Bus[] = [];
  const opened = async (): Promise<Bus> => {
    const bus = await open();
    buses.push(bus);
    return bus;
  };
  afterEach(async () => {
    for (const bus of buses.splice(0)) await bus.close();
  });
  /** The bus, with another way to publish. */
  const publishing = (bus: Bus, publish: Bus['publish']): Bus =>
    new Proxy(bus, { get: (target, name: keyof Bus) => (name === 'publish' ? publish : target[name].bind(target)) });
  const newTopic = (): string => `redrive.${uuidv7()}`;
  const numbered = (topic: string, count: number): BusMessage[] =>
    Array.from({ length: count }, (_, i) => messageOf(topic, `key-${i % 3}`, i));
  const letters = (bus: Bus, topic: string, of: object = {}) => openDeadLetters(bus, { topic, ...of });

  /** Gives up what `isBad` says, and remembers the rest in the order in which it came. */
  const consume = async (
    bus: Bus,
    options: Pick<SubscribeOptions, 'group' | 'topics'> & { generation?: number },
    isBad: (n: number) => boolean,
  ) => {
    const seen: DeliveredMessage[] = [];
    const handle: BatchHandler = (messages) =>
      Promise.resolve(
        messages.map((message) => {
          if (isBad(sequenceOf(message))) return deadLettered(`no use for ${sequenceOf(message)}`);
          seen.push(message);
          return handled;
        }),
      );
    const join = () => bus.subscribe({ ...options, handle });
    // A fresh broker has its groups to load first.
    const subscription = await join().catch(() => sleep(2_000).then(join));
    return { seen, subscription };
  };
  const byKey = (seen: readonly DeliveredMessage[]) =>
    [0, 1, 2].map((key) => seen.filter((message) => message.key === `key-${key}`).map(sequenceOf));

  // Broken by: a copy for everybody, a letter that stays open, letters of others, another order.
  it('lists what a group gave up and gives it back to that group alone, in order per key', async () => {
    const bus = await opened();
    const topic = newTopic();
    await bus.publish(numbered(topic, 12));
    const evens = await consume(bus, { group: 'evens', topics: [topic] }, (n) => n % 2 === 1);
    const all = await consume(bus, { group: 'all', topics: [topic] }, (n) => n === 4);
    await expect.poll(async () => (await letters(bus, topic)).length).toBe(7);
    await evens.subscription.close();

    const [first] = await letters(bus, topic, { group: 'all' });
    expect(first).toMatchObject({ topic, key: 'key-1', consumerGroup: 'all', reason: 'no use for 4', attempts: 1, obstacle: undefined });
    expect(first?.event?.type).toBe('test.counted.v1');
    expect(await letters(bus, topic, { type: 'test.counted.v1' })).toHaveLength(7);
    expect(await letters(bus, topic, { type: 'test.other.v1' })).toEqual([]);
    expect(await letters(bus, topic, { id: first?.ids[0] })).toEqual([first]);
    expect(await letters(bus, topic, { id: first?.event?.id, group: 'all' })).toEqual([first]);
    expect(await letters(bus, newTopic())).toEqual([]);
    await expect(letters(bus, deadLetterTopicOf(topic))).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });

    const done = await redrive(bus, { topic, group: 'evens' });
    expect(done.redriven).toHaveLength(6);
    expect(done.refused).toEqual([]);
    expect(await letters(bus, topic)).toEqual([first]);
    const again = await consume(bus, { group: 'evens', topics: [topic] }, () => false);
    await expect.poll(() => again.seen.length).toBe(6);
    expect(byKey(again.seen)).toEqual([
      [3, 9],
      [1, 7],
      [5, 11],
    ]);
    // The other group has passed over them all: it gets what comes after them, and nothing else.
    await bus.publish([0, 1, 2].map((key) => messageOf(topic, `key-${key}`, 100 + key)));
    await expect.poll(() => all.seen.length).toBe(14);
    expect(all.seen.map(sequenceOf).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 100, 101, 102]);
  });

  // Broken by: a marker before its message, a message before the end of the one before it.
  it('repeats what a kill left unmarked, and loses nothing', async () => {
    const bus = await opened();
    const topic = newTopic();
    await bus.publish(numbered(topic, 5));
    const { subscription } = await consume(bus, { group: 'fails', topics: [topic] }, () => true);
    await expect.poll(async () => (await letters(bus, topic)).length).toBe(5);
    await subscription.close();
    const calls: number[] = [];
    const killed = publishing(bus, (messages) => {
      calls.push(messages.length);
      return calls.length === 2 ? Promise.reject(new Error('killed')) : bus.publish(messages);
    });
    await expect(redrive(killed, { topic })).rejects.toThrow('killed');
    expect(await letters(bus, topic)).toHaveLength(5);
    expect((await redrive(bus, { topic })).redriven).toHaveLength(5);
    expect((await redrive(bus, { topic })).redriven).toEqual([]);
    const { seen } = await consume(bus, { group: 'fails', topics: [topic] }, () => false);
    await expect.poll(() => seen.length).toBe(5 + (calls[0] ?? 0));
    expect(new Set(seen.map(({ envelope }) => envelope.id)).size).toBe(5);
  });

  // Broken by: a letter that is thrown away because nothing can be done with it.
  it('refuses what is no message or is cut, by name, and leaves it open', async () => {
    const bus = await opened();
    const topic = newTopic();
    const letterOf = (payload: Partial<ReturnType<typeof deadLetter.schema.parse>>): BusMessage => ({
      ...makeEvent(
        deadLetter,
        {
          topic,
          partition: 0,
          offset: 0,
          key: 'k',
          consumerGroup: 'g',
          reason: 'r',
          attempts: 1,
          value: '{}',
          truncated: false,
          isMessage: true,
          ...payload,
        },
        { workspaceId: 'test', correlationId: 'test' },
      ),
      topic: deadLetterTopicOf(topic),
    });
    const good = JSON.stringify(messageOf(topic, 'k', 1).envelope);
    const large = { ...messageOf(topic, 'k', 1).envelope, payload: { text: 'x'.repeat(1024 * 1024) } };
    await bus.publish([
      letterOf({ offset: 1, value: 'garbage', isMessage: false }),
      letterOf({ offset: 2, value: 'cut', truncated: true, isMessage: false }),
      letterOf({ offset: 3, value: '{"no":"envelope"}' }),
      letterOf({ offset: 4, value: 'no JSON' }),
      letterOf({ offset: 5, value: JSON.stringify(large) }),
      letterOf({ offset: 6, value: good }),
      // Given up twice: one message, two letters.
      letterOf({ offset: 6, value: good }),
      { ...letterOf({}), envelope: { ...letterOf({}).envelope, payload: { not: 'a letter' } } },
    ]);
    const { redriven, refused } = await redrive(bus, { topic });
    expect(redriven.map(({ offset, ids }) => [offset, ids.length])).toEqual([[6, 2]]);
    const obstacles = refused.map(({ offset, obstacle }) => [offset, obstacle]).toSorted(([one], [other]) => Number(one) - Number(other));
    expect(obstacles).toEqual([
      [1, 'it is no message'],
      [2, 'it was too large for a dead letter and is cut'],
      [3, 'it is no message'],
      [4, 'it is no message'],
      [5, expect.stringMatching(/^A message of \d+ bytes is over the limit of \d+$/)],
    ]);
    expect(await letters(bus, topic)).toHaveLength(5);
  });

  // Broken by: letters that know the generation of their group, which no later one would ever hear of.
  it('gives a letter of one generation back to the next one, which begins at the start', async () => {
    const bus = await opened();
    const topic = newTopic();
    await bus.publish(numbered(topic, 3));
    const first = await consume(bus, { group: 'replays', topics: [topic], generation: 1 }, (n) => n === 1);
    await expect.poll(async () => (await letters(bus, topic, { group: 'replays' })).length).toBe(1);
    await first.subscription.close();
    await redrive(bus, { topic });
    const second = await consume(bus, { group: 'replays', topics: [topic], generation: 2 }, () => false);
    await expect.poll(() => second.seen.length).toBe(4);
    expect(byKey(second.seen)).toEqual([[0], [1, 1], [2]]);
  });

  // Broken by: one call for all of them, which no bus takes.
  it('redrives more than one call may hold, and reads no further than it is let', async () => {
    const bus = await opened();
    const topic = newTopic();
    await bus.publish(numbered(topic, 1_200));
    const { subscription } = await consume(bus, { group: 'fails', topics: [topic] }, () => true);
    await expect.poll(async () => (await letters(bus, topic)).length, { timeout: 60_000 }).toBe(1_200);
    await subscription.close();
    const sizes: number[] = [];
    const counting = publishing(bus, (messages) => {
      sizes.push(messages.length);
      return bus.publish(messages);
    });
    expect((await redrive(counting, { topic })).redriven).toHaveLength(1_200);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(500);
    expect(await letters(bus, topic)).toEqual([]);
    await expect(readTopic(bus, topic, () => Promise.reject(new Error('no more')))).rejects.toThrow('no more');
  });
};
