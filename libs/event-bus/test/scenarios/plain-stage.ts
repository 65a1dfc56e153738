import pg from 'pg';
import { Spawned } from '../../../outbox/test/processes/spawned.js';
import { connectEventBus } from '../../src/index.js';
import type { ConnectOptions, PlainConfig } from '../harness/bus-harness.js';
import type { Stage } from './stage.js';

/** A configuration with what a test asks of one connection. */
export const withOptions = <C extends PlainConfig>(config: C, { topics, observer, queryMsMax, silentMsMax }: ConnectOptions) => {
  const silent = silentMsMax === undefined ? {} : config.bus === 'kafka' ? { sessionMsMax: silentMsMax } : { silentMsMax };
  return {
    ...config,
    limits: { ...config.limits, ...(queryMsMax !== undefined && { queryMsMax }), ...silent },
    ...(topics && { topics }),
    ...(observer && { observer }),
  };
};

const quietMsRight = 60_000;
const quietMsBroken = 4_000;

/** `loader` lets the processes of the stage run, which are broken on purpose then; the usual one where nothing is said. */
export const plainStage = (config: PlainConfig, loader?: string): Stage => ({
  config,
  quietMs: loader === undefined ? quietMsRight : quietMsBroken,
  connect: (options = {}) => connectEventBus(withOptions(config, options)),
  delayCommits: (msMax) => (config.bus === 'postgres' ? delayCommits(config.url, msMax) : Promise.resolve()),
  spawn: (orders) => new Spawned(new URL('./deadly-consumer.ts', import.meta.url).href, [JSON.stringify(orders)], loader),
});

/** What one append has put in becomes visible after the wait, as it does behind a slow disk. */
const delayCommits = async (url: string, msMax: number): Promise<void> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`create or replace function bus.wait_before_commit() returns trigger language plpgsql as $$
        begin perform pg_sleep(random() * ${msMax / 1000}); return null; end $$;
      drop trigger if exists wait_before_commit on bus.log;
      create constraint trigger wait_before_commit after insert on bus.log deferrable initially deferred
        for each row execute function bus.wait_before_commit()`);
  } finally {
    await client.end();
  }
};
