import process from 'node:process';
import { parseArgs } from 'node:util';
import { seconds, tell } from './places.mjs';
import { SetupFailed } from './setup-failed.mjs';
import { testCommand } from './test-command.mjs';

/** Specs that take their length from the environment and print what they counted. */
const scenarios = [
  'libs/event-bus/test/engine/',
  'libs/event-bus/test/kills/',
  'libs/event-bus/test/postgres-links',
  'libs/event-bus/test/kafka-links',
  'libs/outbox/test/outbox-kill',
  'libs/outbox/test/inbox-kill',
  'libs/service-kit/test/replay',
  'services/analytics/test/timelines-kill',
  'deploy/local/test/kill',
];

const options = {
  rounds: { type: 'string', default: '40' },
  events: { type: 'string', default: '1000000' },
  minutes: { type: 'string', default: '0' },
};

/** `--rounds` kills, `--events` of volume, everything again until `--minutes` are over; or only scenarios whose path holds a word. */
export const soakOptions = (args) => {
  let read;
  try {
    read = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new SetupFailed(error.message);
  }
  const number = (name, min) => {
    const value = Number(read.values[name]);
    if (!Number.isInteger(value) || value < min) throw new SetupFailed(`--${name} is a whole number from ${min}`);
    return value;
  };
  const paths = scenarios.filter((path) => read.positionals.length === 0 || read.positionals.some((word) => path.includes(word)));
  if (paths.length === 0) throw new SetupFailed(`No scenario has such a path; there are: ${scenarios.join(', ')}`);
  return { rounds: number('rounds', 1), events: number('events', 1), minutes: number('minutes', 0), paths };
};

/** The long lane: what `npm test` does for seconds, for as long as one likes. Each scenario prints its counts and its seed. */
export const soakCommand = async (args) => {
  const { rounds, events, minutes, paths } = soakOptions(args);
  const env = { KILL_ROUNDS: String(rounds), SOAK_EVENTS: String(events), SIMULATIONS: String(rounds * 100) };
  const since = Date.now();
  for (let lap = 1; lap === 1 || Date.now() - since < minutes * 60_000; lap += 1) {
    tell(`Lap ${lap}: ${rounds} kills of each kind of scenario, ${events} events`);
    // One after the other: they share the machine with nobody, and their lines do not mix.
    const code = await testCommand(['--no-file-parallelism', ...paths], env);
    if (code !== 0) {
      process.stdout.write(`Lap ${lap} found a fault after ${seconds(since)}; SEED=… repeats what is random in it\n`);
      return code;
    }
  }
  return 0;
};
