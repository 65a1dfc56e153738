import { DomainError } from '@pca/errors';
import { deadRows, redriveDeadRows } from '@pca/outbox';
import type { ServiceDefinition } from '../bootstrap.js';
import { readOptions } from '../service-command.js';

const usage = 'main.js redrive-outbox [--id ID] [--list]';

/**
 * The service's program as a command: `node dist/main.js redrive-outbox [--id ID] [--list]` puts rows of the outbox that died back into it,
 * or lists them. The running service publishes them.
 */
export const redriveOutboxCommand = async ({ name, database }: ServiceDefinition, args: readonly string[]): Promise<void> => {
  const { id, list = false } = readOptions(args, { id: { type: 'string' }, list: { type: 'boolean' } }, usage);
  if (id !== undefined && !/^\d{1,18}$/.test(id)) throw new DomainError('BAD_USER_INPUT', `The id of a row is a number, not "${id}"`);
  if (!database) throw new DomainError('NOT_FOUND', `${name} has no outbox`);
  if (!list) {
    const count = await redriveDeadRows(database.pool, id);
    return void process.stdout.write(`${count} put back into the outbox of ${name}\n`);
  }
  const rows = (await deadRows(database.pool)).filter((row) => id === undefined || row.id === id);
  for (const { id: rowId, topic, diedAt, reason } of rows) {
    process.stdout.write(`${rowId}  ${diedAt.toISOString()}  ${topic}  ${reason}\n`);
  }
  process.stdout.write(`${rows.length} dead in the outbox of ${name}\n`);
};
