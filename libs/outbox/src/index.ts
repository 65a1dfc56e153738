export { backOffMs } from './back-off.js';
export { countDeadRows, type DeadRow, deadRows, pruneDeadRows, redriveDeadRows } from './dead-rows.js';
export { enqueue, enqueueLimits } from './enqueue.js';
export { ensureInboxTable, inboxTableSql } from './inbox/inbox-table.js';
export {
  endedGenerations,
  forget,
  GenerationEnded,
  type Group,
  inboxOldestAgeSeconds,
  openGroup,
  type Positions,
  pruneInbox,
  receive,
  type ReceivedMessage,
} from './inbox/inbox.js';
export { beginGeneration, endReplay } from './inbox/replay.js';
export { OutboxRelay, type OutboxRelayObserver, type OutboxRelayOptions } from './outbox-relay.js';
export { ensureOutboxTable, outboxTableSql, type Queryable } from './outbox-table.js';
export { silenceOutbox } from './silence.js';
