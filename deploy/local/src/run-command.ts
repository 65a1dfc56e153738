import { importFile } from './commands/import.js';
import { reset } from './commands/reset.js';
import { start } from './commands/start.js';
import { token } from './commands/token.js';
import { describeError } from './operator-error.js';

/** A command gets its arguments and answers with its exit code. */
type Command = (args: readonly string[]) => Promise<number>;

const commands: Readonly<Record<string, Command>> = { start, token, import: importFile, reset };

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
