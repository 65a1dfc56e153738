import { workspaceLockNamespace } from '../timelines/workspace-lock.js';
import { type Connection, inTransaction } from './connection.js';

const lockWait = '1s';
const lockNotAvailable = '55P03';

/**
 * Works in a transaction while nobody writes events of the workspace: what was being written is committed then. False, and nothing is done,
 * when somebody writes for more than a second.
 */
export const alone = async (connection: Connection, workspace: number, work: () => Promise<void>): Promise<boolean> => {
  try {
    await inTransaction(connection, async () => {
      await connection.query(`set local lock_timeout = '${lockWait}'`);
      await connection.query('select pg_advisory_xact_lock($1, $2)', [workspaceLockNamespace, workspace]);
      await work();
    });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code !== lockNotAvailable) throw error;
    return false;
  }
};
