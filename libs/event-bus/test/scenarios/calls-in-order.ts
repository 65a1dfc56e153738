import { v7 as uuidv7 } from 'uuid';
import { inversionsIn } from '../harness/recorder.js';
import { messageOf } from '../messages.js';
import { readAll } from '../read-all.js';
import type { Stage } from './stage.js';

export interface CallsReport {
  readonly missing: number;
  readonly inversions: number;
}

export const callsKept = { missing: 0, inversions: 0 };

const count = 300;

/** Calls of one publisher that nobody waits for, and its close. */
export const callsInOrder = async (stage: Stage): Promise<CallsReport> => {
  const topic = `calls.${uuidv7()}`;
  const publisher = await stage.connect({ topics: { [topic]: { partitions: 1 } } });
  await publisher.publish([messageOf(topic, 'key', 0)]);
  const calls = Array.from({ length: count }, (_, i) => publisher.publish([messageOf(topic, 'key', i + 1)]));
  await Promise.all(calls);
  await publisher.close();
  const reader = await stage.connect();
  const stored = (await readAll(reader, topic)).flat();
  await reader.close();
  return { missing: count + 1 - stored.length, inversions: inversionsIn(stored) };
};
