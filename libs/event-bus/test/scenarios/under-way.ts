import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { Recorder } from '../harness/recorder.js';
import { messageOf } from '../messages.js';
import { type Stage, untilQuiet } from './stage.js';

export interface UnderWayReport {
  /** Others that were handled while one was under way. */
  readonly beside: number;
  /** How far the group's position stood behind the one that was under way: a death would have lost it. */
  readonly beyond: number;
  readonly missing: number;
}

export const keptBehind = { beyond: 0, missing: 0 };

const count = 40;
const slow = 7;

/** One message takes long; those of other keys go on beside it. */
export const underWay = async (stage: Stage): Promise<UnderWayReport> => {
  const topic = `under-way.${uuidv7()}`;
  const group = `group-${uuidv7()}`;
  const bus = await stage.connect({ topics: { [topic]: { partitions: 1 } } });
  await bus.publish(Array.from({ length: count }, (_, i) => messageOf(topic, `key ${i}`, i)));
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const recorder = new Recorder(async (messages) => (messages.some(({ key }) => key === `key ${slow}`) ? released : undefined));
  const subscription = await bus.subscribe({ group, topics: [topic], concurrency: 4, batchSize: 20, handle: recorder.handle });
  const hasBegun = () => recorder.begun.some(({ key }) => key === `key ${slow}`) && recorder.done.length > 0;
  await untilQuiet(hasBegun, () => recorder.begun.length, stage.quietMs);
  // Time in which a position could be kept that must not be.
  await sleep(300);
  const beside = recorder.done.length;
  const [kept] = await bus.lag(group);
  const positions = [kept?.position ?? 0, subscription.positions()[topic]?.get(0) ?? 0];
  release();
  await untilQuiet(
    () => recorder.done.length >= count,
    () => recorder.done.length,
    stage.quietMs,
  );
  await bus.close();
  return { beside, beyond: Math.max(0, ...positions.map((position) => position - slow)), missing: count - recorder.done.length };
};
