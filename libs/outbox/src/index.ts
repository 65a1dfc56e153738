export { countDeadRows, type DeadRow, deadRows, pruneDeadRows, redriveDeadRows } from './dead-rows.js';
export { enqueue, enqueueLimits } from './enqueue.js';
export { OutboxRelay, type OutboxRelayObserver, type OutboxRelayOptions } from './outbox-relay.js';
export { ensureOutboxTable, outboxTableSql, type Queryable } from './outbox-table.js';
