import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@pca/errors';
import { endedGenerations, type Group } from '@pca/outbox';
import { createService, type ServiceDefinition } from '../bootstrap.js';
import type { Database } from '../database/database.js';
import { readOptions } from '../service-command.js';
import { type ConsumerDefinition, topicsOf } from './consumer.js';
import { beginReplay, replayProgress } from './replay.js';
import type { ServiceBus } from '../messaging/service-bus.js';

const usage = 'main.js replay --group GROUP [--partial] [--despite-dead-letters]';
const options = { group: { type: 'string' }, partial: { type: 'boolean' }, 'despite-dead-letters': { type: 'boolean' } } as const;
const lookMs = 500;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/**
 * The service's program as a command: `node dist/main.js replay --group GROUP [--partial] [--despite-dead-letters]`, in the environment of
 * the service, whether that runs or not. Shows how far the group has come until it has caught up; ended earlier, the replay goes on by
 * itself.
 */
export const replayCommand = async (definition: ServiceDefinition, args: readonly string[]): Promise<void> => {
  const { database, bus } = definition;
  const read = readOptions(args, options, usage);
  const { group: name, partial = false, 'despite-dead-letters': despiteDeadLetters = false } = read;
  if (!name) throw new DomainError('BAD_USER_INPUT', `Which group? Usage: ${usage}`);
  const consumer = await consumerOf(definition, name);
  if (!database || !bus) throw new DomainError('NOT_FOUND', `${definition.name} consumes nothing`);
  const group = await beginReplay({ database, bus }, consumer, { partial, despiteDeadLetters });
  say(`${name} replays ${topicsOf(consumer).join(', ')} (generation ${group.generation})`);
  await follow(database, bus, consumer, group);
  say(`${name} has caught up`);
};

const consumerOf = async (definition: ServiceDefinition, name: string): Promise<ConsumerDefinition> => {
  const { app } = await createService(definition);
  const consumers = definition.consumers?.(app) ?? [];
  const consumer = consumers.find(({ group }) => group === name);
  if (consumer) return consumer;
  const known = consumers.map(({ group }) => group).join(', ') || 'none';
  throw new DomainError('NOT_FOUND', `${definition.name} has no group "${name}"; it has: ${known}`);
};

const follow = async (database: Database, bus: ServiceBus, consumer: ConsumerDefinition, group: Group): Promise<void> => {
  const look = await replayProgress(bus, consumer, group);
  let said = '';
  const sayOnce = (line: string): void => {
    if (line !== said) say(line);
    said = line;
  };
  for (;;) {
    const progress = await look().catch(() => 'away' as const);
    if (progress === 'away') sayOnce('the bus does not answer for now');
    else if (!progress) sayOnce('waiting for an instance of the service to take it up; it goes on when this command is ended');
    else {
      const { done, total } = progress;
      sayOnce(`${total === 0 ? 100 : Math.floor((100 * done) / total)} %, ${done} of ${total} messages`);
      if (done >= total) return;
    }
    const ended = await endedGenerations(database.pool, [group]).catch(() => new Set());
    if (ended.size > 0) throw new DomainError('CONFLICT', `The group ${group.name} has begun another replay`);
    await sleep(lookMs);
  }
};
