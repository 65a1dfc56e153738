import { DomainError } from '@pca/errors';
import type { LimitFunction } from 'p-limit';
import pLimit from 'p-limit';
import { deadLetterTopicOf } from '@pca/contracts';
import { checkTopic } from '../encode-message.js';
import { type BatchHandler, type ConsumeOptions, positionsName } from '../event-bus.js';
import type { EventBusObserver } from '../event-bus-observer.js';
import type { EventPublisher } from '../event-publisher.js';
import { Gate } from './gate.js';

const groupPattern = /^[A-Za-z0-9._:@-]{1,200}$/;

/** What a consumer needs of the bus that it belongs to. */
export interface ConsumerHost {
  readonly publisher: EventPublisher;
  readonly observer: EventBusObserver;
  /**
   * Lets one call through at a time, of all consumers of the process: what was being handled when a process died is handled alone, so that
   * the next death tells which of them it was.
   */
  readonly alone: LimitFunction;
}

/** What the partitions of one subscription share: its options, checked, its gate, and its bound on calls to the handler. */
export class Consumer {
  readonly topics: readonly string[];
  readonly handle: BatchHandler;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly lingerMs: number;
  readonly attemptsMax: number;
  readonly retryMs: number;
  readonly gate = new Gate();
  readonly limit: LimitFunction;
  /** Under which the group's positions are kept; undefined for a broadcast. */
  readonly positions: string | undefined;
  /**
   * By partition, what this process began and the cursor may say, since an answer can be lost: the last that was kept for sure, and those
   * after it. Nothing of what failed or was kept as ended. Not the work of a member that died.
   */
  readonly begun = new Map<string, readonly { readonly from: number; readonly until: number; readonly attempt: number }[]>();
  /** Partitions that are this member's now. */
  partitions = 0;

  /** Throws BAD_USER_INPUT. */
  constructor(
    /** Undefined for a broadcast. */
    readonly group: string | undefined,
    options: ConsumeOptions,
    readonly host: ConsumerHost,
    generation = 0,
  ) {
    if (group !== undefined && !groupPattern.test(group))
      throw new DomainError('BAD_USER_INPUT', 'A group is 1 to 200 letters, digits, ".", "_", ":", "@" or "-"');
    if (options.topics.length === 0) throw new DomainError('BAD_USER_INPUT', 'A consumer names at least one topic');
    for (const topic of options.topics) checkTopic(topic);
    // A topic whose dead letters no bus would take.
    for (const topic of options.topics) checkTopic(deadLetterTopicOf(topic));
    this.topics = [...new Set(options.topics)];
    this.handle = options.handle;
    this.batchSize = within('batchSize', options.batchSize ?? 1_000, 1, 10_000);
    this.concurrency = within('concurrency', options.concurrency ?? 4, 1, 1_000);
    this.lingerMs = within('lingerMs', options.lingerMs ?? 0, 0, 10_000);
    this.attemptsMax = within('attemptsMax', options.attemptsMax ?? 5, 1, 100);
    this.retryMs = within('retryMs', options.retryMs ?? 100, 1, 60_000);
    this.limit = pLimit(this.concurrency);
    this.positions = group === undefined ? undefined : positionsName(group, within('generation', generation, 0, 2 ** 31 - 1));
  }

  /** The group's name in reports. */
  get name(): string {
    return this.group ?? 'broadcast';
  }

  /** Into how many a batch is parted by key, so that few partitions keep the handler as busy as many. */
  get lanes(): number {
    return Math.max(1, Math.floor(this.concurrency / Math.max(1, this.partitions)));
  }
}

const within = (name: string, value: number, min: number, max: number): number => {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new DomainError('BAD_USER_INPUT', `${name} is a whole number from ${min} to ${max}`, { [name]: value });
};
