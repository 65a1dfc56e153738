import { counter } from '@pca/service-kit';
import type { PoolClient } from 'pg';

/** Not those of days that were dropped as a whole. */
export const eventsDeleted = counter('pca_events_deleted_total', 'Behaviour events that were deleted one by one', ['reason']);

export const textsFreed = counter('pca_texts_freed_total', 'Texts of events that no event referred to any more');

/** What deletes goes by one connection: it holds the lock under which only one process deletes. */
export type Connection = Pick<PoolClient, 'query'>;

/** Asked between two pieces whether to go on; may do something more urgent first. */
export type GoOn = () => Promise<boolean>;

/** Works in one transaction of this connection. */
export const inTransaction = async <T>(connection: Connection, work: () => Promise<T>): Promise<T> => {
  await connection.query('begin');
  try {
    const result = await work();
    await connection.query('commit');
    return result;
  } catch (error) {
    await connection.query('rollback').catch(() => undefined);
    throw error;
  }
};
