// What every npm script goes through: installs and builds what is missing, then runs the command on the Node that the repository pins.
// This file and those it imports run on the Node of the machine, whichever that is.
import process from 'node:process';
import { commands } from './run/commands.mjs';
import { nodeFault } from './run/node-version.mjs';
import { SetupFailed } from './run/setup-failed.mjs';

const main = async ([name = '', ...args]) => {
  const fault = nodeFault(process.version);
  if (fault) throw new SetupFailed(fault);
  if (!Object.hasOwn(commands, name)) throw new SetupFailed(`Unknown command "${name}"; there are: ${Object.keys(commands).join(', ')}`);
  return commands[name](args);
};

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(`${error instanceof SetupFailed ? error.message : error.stack}\n`);
    process.exit(1);
  },
);
