import type { BusMessage } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { encodeMessage, lineOf } from '@pca/event-bus';
import type { Queryable } from './outbox-table.js';
import { silenceSetting } from './silence.js';

/** What one call takes. A transaction may make several. */
export const enqueueLimits = { messagesMax: 10_000, bytesMax: 32 * 1024 * 1024 } as const;

/**
 * Puts events beside the rows that they tell of, in the caller's transaction, so that both commit or neither does. One statement; the
 * events are published in the order of the array.
 *
 * The caller has locked its aggregate's row before (several in sorted order), as every writer of the same key does: then rows of one key
 * get their ids in the order in which they commit, and the relay, which goes by id, keeps the order of the key. Nudge the relay after the
 * commit. In a transaction that replays (`silenceOutbox`) nothing is kept: others were told then.
 *
 * Throws PAYLOAD_TOO_LARGE or BAD_USER_INPUT, before any statement, for what the bus would never take.
 */
export const enqueue = async (transaction: Queryable, messages: readonly BusMessage[]): Promise<void> => {
  if (messages.length === 0) return;
  const encoded = messages.map((message) => encodeMessage(message));
  const bytes = encoded.reduce((sum, message) => sum + message.bytes, 0);
  const { messagesMax, bytesMax } = enqueueLimits;
  if (messages.length > messagesMax || bytes > bytesMax) {
    const message = `One call may enqueue ${messagesMax} messages and ${bytesMax} bytes; this one has ${messages.length} and ${bytes}`;
    throw new DomainError('PAYLOAD_TOO_LARGE', message, { messages: messages.length, bytes, messagesMax, bytesMax });
  }
  // Neither a topic nor a line of JSON has a line break in it, and one long string is far cheaper to send than an array of quoted ones.
  await transaction.query(
    `insert into outbox (topic, message)
     select topic, message
     from unnest(string_to_array($1, E'\\n'), string_to_array($2, E'\\n')) with ordinality as m (topic, message, position)
     where current_setting('${silenceSetting}', true) is distinct from 'on'
     order by position`,
    [encoded.map(({ topic }) => topic).join('\n'), encoded.map(lineOf).join('\n')],
  );
};
