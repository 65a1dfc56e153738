import { parseArgs, type ParseArgsConfig } from 'node:util';
import { DomainError, isDomainError } from '@pca/errors';
import type { ServiceDefinition } from './bootstrap.js';

/** What a service's program does instead of serving; its tables are there already. */
export type ServiceCommand = (definition: ServiceDefinition, args: readonly string[]) => Promise<void>;

const connectAttemptsMax = 3;

/**
 * Runs a command of a service in its environment, with its database connected; a failure is one line on stderr. Resolves with the exit code.
 */
export const runServiceCommand = async (
  command: ServiceCommand,
  definition: ServiceDefinition,
  args: readonly string[],
): Promise<number> => {
  const { database, bus, logger } = definition;
  logger.level = 'error';
  try {
    await database?.connect(() => undefined, connectAttemptsMax);
    await command(definition, args);
    return 0;
  } catch (error) {
    process.stderr.write(`${isDomainError(error) ? `${error.code}: ${error.message}` : String(error)}\n`);
    return 1;
  } finally {
    await bus?.close();
    await database?.stop();
  }
};

/** The options of a command. Throws BAD_USER_INPUT, in one line with the usage. */
export const readOptions = <O extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: O,
  usage: string,
): ReturnType<typeof parseArgs<{ args: string[]; options: O }>>['values'] => {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values;
  } catch (error) {
    throw new DomainError('BAD_USER_INPUT', `${(error as Error).message.split('. ')[0]}. Usage: ${usage}`, {}, { cause: error });
  }
};
