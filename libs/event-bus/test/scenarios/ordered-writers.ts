import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { Recorder } from '../harness/recorder.js';
import { messageOf } from '../messages.js';
import type { Random } from '../random.js';
import { type Stage, untilQuiet } from './stage.js';

export interface OrderReport {
  readonly published: number;
  /** Acknowledged, and never handled. */
  readonly missing: number;
  /** Handled again, though nobody died. */
  readonly repeats: number;
  /** Handled for the first time after a later one of the same key. */
  readonly inversions: number;
  /** Calls that began while another had the same key. */
  readonly overlaps: number;
}

export const inOrder = { missing: 0, repeats: 0, inversions: 0, overlaps: 0 };

/** Sixteen writers at once, on a few partitions, and a group that members join and leave meanwhile. */
export const orderedWriters = async (stage: Stage, random: Random, callsOfWriter = 25): Promise<OrderReport> => {
  const topic = `ordered.${uuidv7()}`;
  const topics = { [topic]: { partitions: 5 } };
  const buses = await Promise.all(Array.from({ length: 4 }, () => stage.connect({ topics })));
  await stage.delayCommits(10);
  // Now and then one takes so long that members come and go meanwhile.
  const workMs = () => (random.chance(0.06) ? 100 + random.below(150) : random.chance(0.3) ? random.below(8) : 0);
  const recorder = new Recorder(() => sleep(workMs()));
  const group = `group-${uuidv7()}`;
  const join = async () => {
    const bus = await stage.connect();
    await bus.subscribe({ group, topics: [topic], concurrency: 8, batchSize: 1 + random.below(60), handle: recorder.handle });
    return bus;
  };
  const members = [await join(), await join()];
  const last = new Map<string, number>();
  const ids = new Set<string>();
  const total = 16 * callsOfWriter;
  let calls = 0;
  const write = async (writer: number): Promise<void> => {
    for (let call = 0; call < callsOfWriter; call += 1, calls += 1) {
      const messages = Array.from({ length: 1 + random.below(10) }, () => {
        const key = `writer ${writer} key ${random.below(4)}`;
        last.set(key, (last.get(key) ?? 0) + 1);
        return messageOf(topic, key, last.get(key)!);
      });
      await buses[writer % buses.length]!.publish(messages);
      for (const { envelope } of messages) ids.add(envelope.id);
      await sleep(random.below(20));
    }
  };
  const change = async (): Promise<void> => {
    while (calls < total / 4) await sleep(5);
    members.push(await join());
    while (calls < total / 2) await sleep(5);
    await members.shift()?.close();
    while (calls < (total * 3) / 4) await sleep(5);
    members.push(await join());
    await members.shift()?.close();
  };
  await Promise.all([change(), ...Array.from({ length: 16 }, (_, writer) => write(writer))]);
  const missing = () => ids.size - new Set(recorder.done.map(({ envelope }) => envelope.id)).size;
  await untilQuiet(
    () => missing() === 0,
    () => recorder.begun.length,
    stage.quietMs,
  );
  await Promise.all([...members, ...buses].map((bus) => bus.close()));
  await stage.delayCommits(0);
  const { repeats, inversions, overlaps } = recorder;
  return { published: ids.size, missing: missing(), repeats, inversions, overlaps };
};
