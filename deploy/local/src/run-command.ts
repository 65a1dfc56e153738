import { describeError } from './operator-error.js';

/** A command gets its arguments and answers with its exit code. */
type Command = (args: readonly string[]) => Promise<number>;

/** Each is loaded when it is asked for. */
const commands: Readonly<Record<string, Command>> = {
  start: async (args) => (await import('./commands/start.js')).start(args),
  token: async (args) => (await import('./commands/token.js')).token(args),
  'ingest-key': async (args) => (await import('./commands/ingest-key.js')).ingestKey(args),
  import: async (args) => (await import('./commands/import.js')).importFile(args),
  redrive: async (args) => (await import('./commands/redrive.js')).redrive(args),
  replay: async (args) => (await import('./commands/replay.js')).replay(args),
  reset: async (args) => (await import('./commands/reset.js')).reset(args),
};

/** Runs a command by name and ends the process with its code; a failure is told on stderr and ends it with 1. */
export const runCommand = async ([name = '', ...args]: readonly string[]): Promise<void> => {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    process.stderr.write(`Unknown command "${name}"; there are: ${Object.keys(commands).join(', ')}\n`);
    process.exit(1);
  }
  try {
    process.exit(await command(args));
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    process.exit(1);
  }
};
