import type { Queryable } from './outbox-table.js';

/** The setting of a transaction in which nothing is enqueued. */
export const silenceSetting = 'pca.replaying';

/**
 * From here on, what is enqueued in the transaction is not kept (true), or is again (false). It is a setting of the transaction itself, so
 * that it holds for whoever enqueues through whatever object.
 */
export const silenceOutbox = async (transaction: Queryable, silent: boolean): Promise<void> => {
  await transaction.query('select set_config($1, $2, true)', [silenceSetting, silent ? 'on' : 'off']);
};
