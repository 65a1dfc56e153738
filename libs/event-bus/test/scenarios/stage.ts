import { setTimeout as sleep } from 'node:timers/promises';
import type { Spawned } from '../../../outbox/test/processes/spawned.js';
import type { Bus, ConnectOptions, PlainConfig } from '../harness/bus-harness.js';
import type { DeadlyOrders } from './deadly.js';

/**
 * Where a scenario plays: a bus that may be broken on purpose. A scenario answers what it saw, in numbers, and judges nothing, so that the
 * contract can ask for what is right and the test of the tests for what is wrong.
 */
export interface Stage {
  readonly config: PlainConfig;
  connect(options?: ConnectOptions): Promise<Bus>;
  /** Makes every append slower by up to so many milliseconds at its end, where the order of commits is the adapter's own business. */
  delayCommits(msMax: number): Promise<void>;
  /** A consumer as a process of its own, which dies of a message with the key `deadly`. */
  spawn(orders: DeadlyOrders): Spawned;
  /** How long nothing may move before it is given up: on what is right it goes on, however busy the machine is; what is broken may not. */
  readonly quietMs: number;
}

/** Waits until it holds, or until nothing has moved for so long: a bus that is broken may never get there. */
export const untilQuiet = async (holds: () => boolean | Promise<boolean>, moved: () => unknown, quietMs: number): Promise<boolean> => {
  let last = moved();
  let movedAt = performance.now();
  while (!(await holds())) {
    const now = moved();
    if (now !== last) [last, movedAt] = [now, performance.now()];
    if (performance.now() - movedAt > quietMs) return false;
    await sleep(10);
  }
  return true;
};
