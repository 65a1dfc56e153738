import { isDomainError } from '@pca/errors';
import { connectEventBus, type EventBusConfig, type OpenDeadLetter, openDeadLetters, redrive as redriveLetters } from '@pca/event-bus';
import { type LocalEnv, readEnv } from '../env.js';
import { OperatorError } from '../operator-error.js';
import { table } from '../output/table.js';
import { repositoryRoot } from '../repository-root.js';
import { runningSettings } from '../services/running-settings.js';
import { runServiceProgram } from '../services/service-command.js';
import { busDatabase } from '../services/service-registry.js';
import { parseOptions } from './options.js';

const usage =
  'npm run redrive -- --topic TOPIC [--group GROUP] [--type TYPE] [--id ID] [--list], or --outbox SERVICE [--id ID] [--list] for what ' +
  'never reached the bus';

const options = {
  topic: { type: 'string' },
  group: { type: 'string' },
  type: { type: 'string' },
  id: { type: 'string' },
  list: { type: 'boolean' },
  outbox: { type: 'string' },
  services: { type: 'string' },
} as const;

/** The bus that the environment names, else that of the running system. */
const busOf = async (env: LocalEnv): Promise<EventBusConfig> => {
  const { busConfigOf, busEnvShape, checkEnv } = await import('@pca/service-kit');
  const isNamed = env.given['BUS_URL'] || (env.bus === 'kafka' && env.kafkaBrokers);
  const settings = isNamed ? undefined : await runningSettings(env);
  const source = settings
    ? {
        ...settings.given,
        BUS_URL: settings.databaseUrl(busDatabase),
        ...(settings.kafkaBrokers !== undefined && { KAFKA_BROKERS: settings.kafkaBrokers }),
      }
    : env.given;
  const checked = checkEnv(busEnvShape, source);
  if ('faults' in checked) throw new OperatorError(checked.faults.join('; '));
  return busConfigOf(checked.env, 'redrive');
};

const rowOf = ({ ids, at, consumerGroup, event, key, attempts, reason, obstacle }: OpenDeadLetter): string[] => [
  ids[0] ?? '',
  at,
  consumerGroup,
  event?.type ?? '',
  key,
  String(attempts),
  obstacle === undefined ? reason : `${reason} (cannot be redriven: ${obstacle})`,
];

const show = (letters: readonly OpenDeadLetter[]): void => {
  if (letters.length === 0) return;
  const lines = table(['id', 'given up', 'group', 'type', 'key', 'attempts', 'reason'], letters.map(rowOf));
  process.stdout.write(`${lines.join('\n')}\n`);
};

/**
 * Lists dead letters, or gives them back to the groups that gave them up. Resolves with 1 when some could not be given back.
 */
export const redrive = async (args: readonly string[]): Promise<number> => {
  const { topic, outbox, list = false, services = 'services', ...rest } = parseOptions(args, options, usage);
  const env = readEnv(repositoryRoot);
  if (outbox !== undefined) {
    const { id } = rest;
    return runServiceProgram(env, services, outbox, ['redrive-outbox', ...(id ? ['--id', id] : []), ...(list ? ['--list'] : [])]);
  }
  if (!topic) throw new OperatorError(`Which topic? Usage: ${usage}`);
  const filter = { topic, group: rest.group, type: rest.type, id: rest.id };
  try {
    const bus = await connectEventBus(await busOf(env));
    try {
      if (list) {
        const open = await openDeadLetters(bus, filter);
        show(open);
        process.stdout.write(`${open.length} open dead letters of ${topic}\n`);
        return 0;
      }
      const { redriven, refused } = await redriveLetters(bus, filter);
      show(refused);
      const more = refused.length > 0 ? `; ${refused.length} cannot be redriven` : '';
      process.stdout.write(`${redriven.length} dead letters of ${topic} given back${more}\n`);
      return refused.length > 0 ? 1 : 0;
    } finally {
      await bus.close();
    }
  } catch (error) {
    throw isDomainError(error) ? new OperatorError(`${error.code}: ${error.message}`, { cause: error }) : error;
  }
};
