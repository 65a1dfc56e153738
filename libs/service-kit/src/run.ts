import { bootstrap, type ServiceDefinition } from './bootstrap.js';
import { replayCommand } from './consumers/replay-command.js';

/**
 * For main.ts: a service that cannot start says why in one line and exits 1. With `replay` as its first argument the program does not serve
 * but replays a group of the service.
 */
export const run = (definition: ServiceDefinition): void => {
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (error: unknown) => {
      definition.logger.fatal({ err: error }, event);
      process.exit(1);
    });
  }
  const [command, ...args] = process.argv.slice(2);
  if (command === 'replay') return void replayCommand(definition, args).then((code) => process.exit(code));
  bootstrap(definition).catch((error: unknown) => {
    definition.logger.fatal({ err: error }, `${definition.name} cannot start`);
    process.exit(1);
  });
};
