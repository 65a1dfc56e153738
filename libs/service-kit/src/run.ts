import { bootstrap, type ServiceDefinition } from './bootstrap.js';
import { replayCommand } from './consumers/replay-command.js';
import { redriveOutboxCommand } from './messaging/redrive-outbox-command.js';
import { runServiceCommand, type ServiceCommand } from './service-command.js';

const ownCommands: Readonly<Record<string, ServiceCommand>> = { replay: replayCommand, 'redrive-outbox': redriveOutboxCommand };

/**
 * For main.ts: a service that cannot start says why in one line and exits 1. With the name of a command as its first argument (`replay`,
 * `redrive-outbox`, or one of the service) the program does that instead of serving.
 */
export const run = (definition: ServiceDefinition): void => {
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (error: unknown) => {
      definition.logger.fatal({ err: error }, event);
      process.exit(1);
    });
  }
  const [name = '', ...args] = process.argv.slice(2);
  const commands = { ...definition.commands, ...ownCommands };
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command) return void runServiceCommand(command, definition, args).then((code) => process.exit(code));
  bootstrap(definition).catch((error: unknown) => {
    definition.logger.fatal({ err: error }, `${definition.name} cannot start`);
    process.exit(1);
  });
};
