import { type BatchHandler, type DeliveredMessage, type Outcome } from '../../src/index.js';
import { sequenceOf } from '../messages.js';

/**
 * A handler that remembers, and sees what must never be: two calls at once with one key. What a call did counts when it ends well, as in a
 * transaction. One recorder may be shared by members of a group.
 */
export class Recorder {
  readonly done: DeliveredMessage[] = [];
  /** Every beginning, however it ended. */
  readonly begun: DeliveredMessage[] = [];
  readonly sizes: number[] = [];
  running = 0;
  runningMax = 0;
  /** Keys that were being handled when another call with them began. */
  overlaps = 0;
  private readonly keys = new Map<string, number>();

  constructor(
    private readonly work: (messages: readonly DeliveredMessage[]) => Promise<readonly Outcome[] | void> | void = () => undefined,
  ) {}

  readonly handle: BatchHandler = async (messages) => {
    const keys = new Set(messages.map(({ topic, key }) => `${topic} ${key}`));
    for (const key of keys) {
      const calls = this.keys.get(key) ?? 0;
      this.overlaps += calls;
      this.keys.set(key, calls + 1);
    }
    this.running += 1;
    this.runningMax = Math.max(this.runningMax, this.running);
    this.sizes.push(messages.length);
    this.begun.push(...messages);
    try {
      const outcomes = await this.work(messages);
      this.done.push(...messages);
      return outcomes;
    } finally {
      this.running -= 1;
      for (const key of keys) this.keys.set(key, (this.keys.get(key) ?? 0) - 1);
    }
  };

  get sequences(): number[] {
    return this.done.map(sequenceOf);
  }

  /** How often a message was done again. */
  get repeats(): number {
    return this.done.length - new Set(this.done.map(({ envelope }) => envelope.id)).size;
  }

  /** Messages that were done for the first time after a later one of their key. */
  get inversions(): number {
    return inversionsIn(this.done);
  }
}

/** Messages that appear for the first time after a later one of their key. */
export const inversionsIn = (messages: readonly DeliveredMessage[]): number => {
  const seen = new Set<string>();
  const last = new Map<string, number>();
  let inversions = 0;
  for (const message of messages) {
    if (seen.has(message.envelope.id)) continue;
    seen.add(message.envelope.id);
    const key = `${message.topic} ${message.key}`;
    if (sequenceOf(message) <= (last.get(key) ?? -1)) inversions += 1;
    else last.set(key, sequenceOf(message));
  }
  return inversions;
};
