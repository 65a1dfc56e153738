import { setTimeout as sleep } from 'node:timers/promises';
import type { EventBusConfig } from '../../../src/index.js';

/** What a process of the test is told, as the JSON of its only argument. */
export interface WriterOrders {
  readonly bus: EventBusConfig;
  readonly topic: string;
  /** Its keys begin with it: no other process writes them. */
  readonly name: string;
  readonly seed: number;
}

export interface ConsumerOrders {
  readonly bus: EventBusConfig;
  readonly topic: string;
  readonly effectsUrl: string;
  /** Each has a subscription. A message whose key begins with `kills:GROUP:` kills the process in the handler of that group. */
  readonly groups: readonly string[];
  readonly seed: number;
  readonly batchSize: number;
  /** How long a handler waits at most between its effects and the commit, and after it; half of the calls do. */
  readonly slowMs: number;
  /** How likely a handler throws: before the commit, and after it. */
  readonly throws: number;
  readonly attemptsMax: number;
}

export const ordersOf = <T>(): T => JSON.parse(process.argv[2] ?? '') as T;

/** Tries until it succeeds: whatever a process needs may be away when it starts. */
export const untilDone = async <T>(work: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await work();
    } catch {
      await sleep(50);
    }
  }
};
