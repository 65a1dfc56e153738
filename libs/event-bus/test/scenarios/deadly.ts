import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { messageOf } from '../messages.js';
import { readAll } from '../read-all.js';
import type { Stage } from './stage.js';

/** What the process of a consumer is told. */
export interface DeadlyOrders {
  readonly config: object;
  readonly topic: string;
  readonly group: string;
  readonly attemptsMax: number;
}

export interface DeadlyReport {
  readonly deaths: number;
  readonly letters: number;
  readonly missing: number;
}

const attemptsMax = 2;
const count = 12;

export const buriedInTime = { deaths: attemptsMax, letters: 1, missing: 0 };

/** A message that kills whoever handles it, among others: a new process takes over from each that died. */
export const deadly = async (stage: Stage): Promise<DeadlyReport> => {
  const topic = `deadly.${uuidv7()}`;
  const group = `group-${uuidv7()}`;
  const bus = await stage.connect({ topics: { [topic]: { partitions: 1 } } });
  await bus.publish(Array.from({ length: count }, (_, i) => messageOf(topic, i === 5 ? 'deadly' : 'key', i)));
  const lag = async () => {
    const lags = await bus.lag(group);
    return lags.length === 0 ? count : lags.reduce((sum, partition) => sum + partition.lag, 0);
  };
  let deaths = 0;
  let isDone = false;
  const done = new Set<string>();
  while (deaths < attemptsMax + 1 && !isDone) {
    const process = stage.spawn({ config: stage.config, topic, group, attemptsMax });
    let hasDied = false;
    void process.ended.then(() => (hasDied = true));
    while (!hasDied && !isDone) {
      await sleep(50);
      isDone = (await lag()) === 0;
    }
    if (hasDied) deaths += 1;
    await process.kill();
    for (const line of process.lines.filter((one) => one.startsWith('done '))) done.add(line);
  }
  const letters = (await readAll(bus, `${topic}.dead-letters`)).flat().length;
  await bus.close();
  return { deaths, letters, missing: count - 1 - done.size };
};
