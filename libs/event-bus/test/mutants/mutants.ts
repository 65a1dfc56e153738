/** A source of the bus, broken on purpose at one place or several. */
export interface Mutant {
  /** What is wrong with it: it … */
  readonly name: string;
  /** In which bus. `engine`: without one. */
  readonly on: 'engine' | 'postgres' | 'kafka';
  /** The scenario that must notice. */
  readonly scenario: 'simulation' | 'underWay' | 'orderedWriters' | 'callsInOrder' | 'deadly' | 'acknowledged' | 'keptForGroups';
  readonly changes: readonly Change[];
}

export interface Change {
  /** Below `src`. */
  readonly file: string;
  /** What stands there exactly once, however it is broken into lines; the test of the tests fails when it does not any more. */
  readonly from: string;
  readonly to: string;
}

const engine = 'delivery/partition-delivery.ts';
const worker = 'delivery/partition-worker.ts';
const session = 'postgres/postgres-session.ts';
const log = 'postgres/postgres-log-schema.ts';
const groups = 'postgres/postgres-group-schema.ts';
const member = 'kafka/group/kafka-member.ts';
const queue = 'append-queue.ts';

const count = 'await this.cursor.advance(first.offset, begun);';
const lanes = 'Promise.allSettled(lanes.map((lane) => this.consumer.limit(() => this.handleLane(lane, signal))))';

const keptBefore: Change = { file: engine, from: count, to: 'await this.cursor.advance(endOf(chunk));' };
const overTheHole: Change = {
  file: engine,
  from: lanes,
  to: lanes.replace('(lanes.map', '([Promise.race(lanes.map').replace(/\)$/, ')])'),
};
const notCounted: Change = { file: engine, from: count, to: 'await this.cursor.advance(first.offset);' };
const partedKeys: Change = {
  file: engine,
  from: 'lanes[(murmur2(Buffer.from(message.key)) >>> 16) % count]',
  to: 'lanes[messages.indexOf(message) % count]',
};
const sideBySide: readonly Change[] = [
  { file: queue, from: 'this.running ??= this.run();', to: 'void this.run();' },
  { file: queue, from: 'batchMessagesMax || bytes > this.limits.batchBytesMax) break;', to: 'batchMessagesMax || count > 0) break;' },
];
/** Nothing that a member does is kept when it goes. */
const notHandedOver: Change = {
  file: worker,
  from: '} } await this.delivery.settle(); }',
  to: '} } }',
};

export const mutants: readonly Mutant[] = [
  { name: 'keeps the position before handling', on: 'engine', scenario: 'simulation', changes: [keptBefore] },
  { name: 'moves the position over a hole when a later lane ends first', on: 'engine', scenario: 'simulation', changes: [overTheHole] },
  { name: 'does not count attempts before handling', on: 'engine', scenario: 'simulation', changes: [notCounted] },
  { name: 'parts a batch without regard to the key', on: 'engine', scenario: 'simulation', changes: [partedKeys] },
  {
    name: 'goes on behind a failure',
    on: 'engine',
    scenario: 'simulation',
    changes: [{ file: engine, from: 'if (!failure) {', to: 'if (failure || !failure) {' }],
  },
  {
    name: 'buries what failed beside others',
    on: 'engine',
    scenario: 'simulation',
    changes: [{ file: engine, from: 'suspects.from === this.done && suspects.until <= first.offset + 1', to: 'attempt > 0' }],
  },
  {
    name: 'counts outages',
    on: 'engine',
    scenario: 'simulation',
    changes: [{ file: engine, from: 'boolean => isUnavailable(error) || (signal', to: 'boolean => (signal' }],
  },
  {
    name: 'forgets what was done beside a failure',
    on: 'engine',
    scenario: 'simulation',
    changes: [
      {
        file: engine,
        from: 'for (const offset of this.ahead) if (offset < this.done) this.ahead.delete(offset);',
        to: 'this.ahead.clear();',
      },
    ],
  },
  {
    name: 'forgets the attempts of a failure when its connection breaks',
    on: 'engine',
    scenario: 'simulation',
    changes: [{ file: engine, from: 'this.consumer.begun.delete(this.name); const until', to: 'const until' }],
  },
  {
    name: 'takes a broken connection for a death',
    on: 'engine',
    scenario: 'simulation',
    changes: [{ file: engine, from: 'const isOwn = this.isOwn(position, begun);', to: 'const isOwn = false;' }],
  },
  {
    name: 'does not wait until a dead letter is published',
    on: 'engine',
    scenario: 'simulation',
    changes: [
      { file: engine, from: 'await host.publisher.publish(letters);', to: 'host.publisher.publish(letters).catch(() => undefined);' },
    ],
  },
  {
    name: 'hands out what is for another group',
    on: 'engine',
    scenario: 'simulation',
    changes: [{ file: engine, from: '(what.consumerGroup === undefined || what.consumerGroup === this.consumer.group)', to: 'true' }],
  },

  { name: 'keeps the position before handling', on: 'postgres', scenario: 'underWay', changes: [keptBefore] },
  { name: 'moves the position over a hole when a later lane ends first', on: 'postgres', scenario: 'underWay', changes: [overTheHole] },
  { name: 'parts a batch without regard to the key', on: 'postgres', scenario: 'orderedWriters', changes: [partedKeys] },
  {
    name: 'hands out offsets without a lock, and reads what is beyond its cursor',
    on: 'postgres',
    scenario: 'orderedWriters',
    changes: [
      { file: log, from: 'for update of h; get diagnostics', to: '; get diagnostics' },
      {
        file: log,
        from: `update bus.head h set next_offset = h.next_offset + r.n from r
          where h.topic_id = r.topic_id and h.partition = r.partition
          returning r.topic_id, r.partition, h.next_offset as end_offset, r.n, r.start, r.size`,
        // One after the other, as a sequence does it; no lock is held until the commit.
        to: `select r.topic_id, r.partition, (select max(x) from (select nextval('bus.positions') as x from generate_series(1, r.n)) s) as end_offset,
          r.n, r.start, r.size from r`,
      },
      {
        file: log,
        from: 'create or replace function bus.append(',
        to: 'create sequence if not exists bus.positions; create or replace function bus.append(',
      },
    ],
  },
  {
    name: 'goes on from the newest row',
    on: 'postgres',
    scenario: 'orderedWriters',
    changes: [{ file: groups, from: 'order by end_offset limit in_messages_max', to: 'order by end_offset desc limit 1' }],
  },
  {
    name: 'gives a partition to two members',
    on: 'postgres',
    scenario: 'orderedWriters',
    changes: [{ file: groups, from: 'if pg_try_advisory_lock(in_consumer_id, candidate) then', to: 'if true then' }],
  },
  { name: 'hands no position over', on: 'postgres', scenario: 'orderedWriters', changes: [notHandedOver] },
  { name: 'appends side by side', on: 'postgres', scenario: 'callsInOrder', changes: sideBySide },
  {
    name: 'answers a publisher before the commit',
    on: 'postgres',
    scenario: 'acknowledged',
    changes: [
      { file: 'postgres/postgres-log.ts', from: "await this.query('select bus.append(", to: "void this.query('select bus.append(" },
    ],
  },
  {
    name: 'drops what a slow group has not done',
    on: 'postgres',
    scenario: 'keptForGroups',
    changes: [{ file: groups, from: 'where c.seen_at > clock_timestamp() - in_group_keep and', to: 'where false and' }],
  },
  {
    name: 'keeps the log for a group that nobody is in',
    on: 'postgres',
    scenario: 'keptForGroups',
    changes: [{ file: groups, from: 'where c.seen_at > clock_timestamp() - in_group_keep and', to: 'where' }],
  },
  {
    name: 'begins to read one segment too late',
    on: 'postgres',
    scenario: 'keptForGroups',
    changes: [{ file: groups, from: 'where l.segment >= s.segment', to: 'where l.segment > s.segment' }],
  },
  { name: 'does not count attempts before handling', on: 'postgres', scenario: 'deadly', changes: [notCounted] },
  {
    name: 'does not learn what the last member had begun',
    on: 'postgres',
    scenario: 'deadly',
    changes: [{ file: session, from: 'begun: attempt > 0 ?', to: 'begun: attempt < 0 ?' }],
  },

  { name: 'keeps the position before handling', on: 'kafka', scenario: 'underWay', changes: [keptBefore] },
  { name: 'moves the position over a hole when a later lane ends first', on: 'kafka', scenario: 'underWay', changes: [overTheHole] },
  {
    name: 'joins again while its handlers are at it',
    on: 'kafka',
    scenario: 'orderedWriters',
    changes: [{ file: member, from: 'if (this.running > 0) {', to: 'if (this.running < 0) {' }],
  },
  { name: 'hands no position over', on: 'kafka', scenario: 'orderedWriters', changes: [notHandedOver] },
  {
    name: 'keeps what was fetched for what is done',
    on: 'kafka',
    scenario: 'underWay',
    changes: [{ file: member, from: 'this.commit(place, done, next)', to: 'this.commit(place, worker.fetchFrom, next)' }],
  },
  { name: 'does not count attempts before handling', on: 'kafka', scenario: 'deadly', changes: [notCounted] },
  {
    name: 'answers a publisher before the broker has answered',
    on: 'kafka',
    scenario: 'acknowledged',
    changes: [{ file: 'kafka/kafka-sender.ts', from: 'return { acks: -1,', to: 'return { acks: 0,' }],
  },
];
