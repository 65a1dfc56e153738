import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { PostgresEventBus } from '../../src/index.js';
import { Recorder } from '../harness/recorder.js';
import { messageOf } from '../messages.js';
import { readAll } from '../read-all.js';
import { type Stage, untilQuiet } from './stage.js';

export interface KeptReport {
  /** Messages that a group which is only slow can not have any more. */
  readonly lost: number;
  /** Old segments that are still there when every living group has done them; nobody else may hold them. */
  readonly held: number;
  /** Messages that a group did not get in its order, or not at all, over the borders of segments. */
  readonly astray: number;
}

export const keptAsLong = { lost: 0, held: 0, astray: 0 };

const rounds = 6;
const perRound = 20;

/** The log of Postgres in short segments, with a slow group and one that nobody is in for good. */
export const keptForGroups = async (stage: Stage): Promise<KeptReport> => {
  if (stage.config.bus !== 'postgres') throw new Error('Only Postgres keeps its log by groups');
  const topic = `kept.${uuidv7()}`;
  // What all living groups have done is old at once, and a group without members soon.
  const limits = { segmentSeconds: 0, keepSeconds: 0, groupKeepSeconds: 1 };
  const topics = { [topic]: { partitions: 1 } };
  const bus = await PostgresEventBus.connect({ url: stage.config.url, limits, topics });
  const dead = await bus.subscribe({ group: 'dead', topics: [topic], handle: () => Promise.resolve() });
  await dead.close();
  const recorder = new Recorder();
  const slow = await bus.subscribe({ group: 'slow', topics: [topic], batchSize: 7, handle: recorder.handle });
  slow.pause();
  for (let round = 0; round < rounds; round += 1) {
    await bus.publish(Array.from({ length: perRound }, (_, i) => messageOf(topic, 'key', round * perRound + i)));
    await bus.maintain();
  }
  await sleep(1_200);
  await bus.maintain();
  const lost = rounds * perRound - (await readAll(bus, topic)).flat().length;
  slow.resume();
  await untilQuiet(
    async () => (await bus.lag('slow')).every(({ lag }) => lag === 0),
    () => recorder.done.length,
    stage.quietMs,
  );
  await bus.maintain();
  await bus.maintain();
  const held = (await readAll(bus, topic)).flat().length / perRound;
  await bus.close();
  const astray = recorder.sequences.filter((sequence, i) => sequence !== i).length + rounds * perRound - recorder.done.length;
  return { lost, held, astray };
};
