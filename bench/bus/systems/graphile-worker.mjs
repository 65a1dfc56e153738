import { Logger, makeWorkerUtils, run, runMigrations } from 'graphile-worker';
import pg from 'pg';

const identifier = 'event';
const logger = new Logger(() => (level, message) => {
  if (level === 'error') throw new Error(message);
});

export const prepare = ({ url }) => runMigrations({ connectionString: url, logger });

export const openWriter = async ({ url, callers }) => {
  const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: callers, logger });
  return {
    write: (messages) => utils.addJobs(messages.map(({ envelope }) => ({ identifier, payload: envelope }))),
    close: () => utils.release(),
  };
};

/** With the batching that its documentation advises for throughput. It does not keep the order of a key. */
export const openConsumer = async ({ url }, handle) => {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  const fail = (error) => {
    throw error;
  };
  pool.on('error', fail).on('connect', (client) => client.on('error', fail));
  const preset = {
    worker: { pgPool: pool, concurrentJobs: 100, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0, logger },
  };
  const runner = await run({ pgPool: pool, preset, noHandleSignals: true, taskList: { [identifier]: (payload) => handle([payload]) } });
  return {
    // A job that is done is deleted; nobody is told when that has committed.
    isCommitted: async () => {
      const { rows } = await pool.query('select not exists (select from graphile_worker._private_jobs) as done');
      return rows[0].done;
    },
    close: async () => {
      await runner.stop();
      await pool.end();
    },
  };
};
