import { DomainError } from '@pca/errors';
import { type EventBus, type EventBusAdmin, openDeadLetters, positionsName } from '@pca/event-bus';
import { beginGeneration, type Group, openGroup, type Positions } from '@pca/outbox';
import type { Database } from '../database/database.js';
import { type ConsumerDefinition, topicsOf } from './consumer.js';
import type { ServiceBus } from '../messaging/service-bus.js';

interface ReplayHost {
  readonly database: Database;
  readonly bus: ServiceBus;
}

export interface ReplayOptions {
  /** Replays although the bus does not keep everything any more, so that the projection will lack what it has dropped. */
  readonly partial?: boolean;
  /** Replays although the group has open dead letters: their events are handled again, and what follows from them is told to nobody. */
  readonly despiteDeadLetters?: boolean;
}

/** How far a replay has come: messages that are done, of those that were there when it began. */
export interface ReplayProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Begins a replay of a consumer's group: its projection is emptied and its next generation begins, in one transaction, whether the service
 * runs, in however many instances, or not. What it was done with before is handled again and tells nobody anything, also where it had given
 * up; what it had not come to is handled for the first time, in its turn.
 *
 * BAD_USER_INPUT when the consumer has no `reset`; CONFLICT when the bus has dropped some of its messages and `partial` is not said, when it
 * has open dead letters and `despiteDeadLetters` is not said, or when another replay was faster; SERVICE_UNAVAILABLE when the bus does not
 * answer.
 */
export const beginReplay = async (
  { database, bus }: ReplayHost,
  definition: ConsumerDefinition,
  { partial = false, despiteDeadLetters = false }: ReplayOptions = {},
): Promise<Group> => {
  const { reset, group: name } = definition;
  if (!reset) throw new DomainError('BAD_USER_INPUT', `The group ${name} has no projection that could be emptied`);
  const opened = await bus.open();
  for (const topic of topicsOf(definition)) {
    if (!partial) await expectAll(opened, topic);
    if (!despiteDeadLetters) await expectNoDeadLetters(opened, topic, name);
  }
  const group = await openGroup(database.pool, name);
  const done: Record<string, Record<string, number>> = {};
  for (const { topic, partition, position } of await opened.lag(positionsName(name, group.generation))) {
    (done[topic] ??= {})[partition] = position;
  }
  return database.transaction(async (transaction) => {
    // A projection takes as long to empty as it takes.
    await transaction.query('set local statement_timeout = 0');
    const next = await beginGeneration(transaction, group, done satisfies Positions);
    await reset(transaction);
    return next;
  });
};

const expectAll = async (bus: EventBusAdmin, topic: string): Promise<void> => {
  const dropped = (await bus.offsets(topic)).reduce((sum, { start }) => sum + start, 0);
  if (dropped === 0) return;
  const message = `The bus has dropped ${dropped} messages of ${topic}: a replay leaves out what came of them`;
  throw new DomainError('CONFLICT', message, { topic, dropped });
};

const expectNoDeadLetters = async (bus: EventBus & EventBusAdmin, topic: string, group: string): Promise<void> => {
  const open = (await openDeadLetters(bus, { topic, group })).length;
  if (open === 0) return;
  const message =
    `${group} has ${open} open dead letters of ${topic}: a replay tells nobody what follows from them. ` +
    `Redrive them first: npm run redrive -- --topic ${topic} --group ${group}`;
  throw new DomainError('CONFLICT', message, { topic, group, open });
};

/** Looks how far the group has come since; undefined while nobody consumes under its generation. */
export const replayProgress = async (
  bus: ServiceBus,
  definition: ConsumerDefinition,
  group: Group,
): Promise<() => Promise<ReplayProgress | undefined>> => {
  const opened = await bus.open();
  const places = await Promise.all(
    topicsOf(definition).map(async (topic) => (await opened.offsets(topic)).map((offsets) => ({ topic, ...offsets }))),
  );
  const ends = new Map(places.flat().map(({ topic, partition, start, end }) => [`${topic}/${partition}`, { start, end }]));
  return async () => {
    const lags = await opened.lag(positionsName(group.name, group.generation));
    if (lags.length === 0) return undefined;
    let done = 0;
    let total = 0;
    for (const { topic, partition, position } of lags) {
      const { start = 0, end = 0 } = ends.get(`${topic}/${partition}`) ?? {};
      done += Math.min(Math.max(position, start), end) - start;
      total += end - start;
    }
    return { done, total };
  };
};
