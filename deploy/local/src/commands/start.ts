import { resolve } from 'node:path';
import { readEnv } from '../env.js';
import { openScreen } from '../output/screen.js';
import { repositoryRoot } from '../repository-root.js';
import { readServices } from '../services/service-registry.js';
import { Supervisor } from '../supervisor.js';
import { parseOptions } from './options.js';

const usage = 'npm start [-- --services FOLDER]';
const forcedExitCode = 130;

/** Resolves with the reason when somebody or something wants the system to end; a second wish is passed to `onSecond`. */
const endWished = (onSecond: () => void): Promise<string> =>
  new Promise((resolve) => {
    let wished = false;
    const wish = (reason: string, insisting: boolean): void => {
      if (wished && insisting) onSecond();
      wished = true;
      resolve(reason);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => wish(signal, signal !== 'SIGHUP'));
    // The command that started this process holds the other end; without it nobody could stop the system any more.
    process.on('disconnect', () => wish('the command that started this is gone', false));
  });

/** Runs the system until it is told to end. */
export const start = async (args: readonly string[]): Promise<number> => {
  const { services = 'services' } = parseOptions(args, { services: { type: 'string' } }, usage);
  const env = readEnv(repositoryRoot);
  const specs = readServices(resolve(repositoryRoot, services));
  const nameWidth = Math.max('postgres'.length, ...specs.map(({ name }) => name.length));
  const screen = openScreen({ colour: env.colour, json: env.logJson, nameWidth });
  const supervisor = new Supervisor(env, specs, screen);
  const wished = endWished(() => {
    screen.say('ending at once', 'warn');
    supervisor.kill();
    // Their keepers shut Postgres and Kafka down when this process is gone.
    process.exit(forcedExitCode);
  });
  const starting = supervisor.start();
  starting.catch(() => undefined);
  try {
    const reason = await Promise.race([wished, starting.then(() => wished)]);
    screen.say(`stopping (${reason})`);
    supervisor.abandonStart();
    await starting;
  } finally {
    await supervisor.stop();
  }
  screen.say('stopped; the data stays');
  return 0;
};
