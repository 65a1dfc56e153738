import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { messageOf } from '../messages.js';
import type { Stage } from './stage.js';

export interface AcknowledgedReport {
  /** How often a call was answered while the bus did not have all of its messages. */
  readonly early: number;
}

export const neverEarly = { early: 0 };

const calls = 30;
const messagesOfCall = 8;

/** One publisher, who looks after each answer whether everything is there. */
export const acknowledged = async (stage: Stage): Promise<AcknowledgedReport> => {
  const topic = `acknowledged.${uuidv7()}`;
  const bus = await stage.connect({ topics: { [topic]: { partitions: 1 } } });
  await stage.delayCommits(30);
  let early = 0;
  for (let call = 0; call < calls; call += 1) {
    // Much that compresses badly, so that it takes its time on the other side.
    const text = randomBytes(60_000).toString('base64');
    const messages = Array.from({ length: messagesOfCall }, (_, i) => {
      const message = messageOf(topic, 'key', call * messagesOfCall + i);
      return { ...message, envelope: { ...message.envelope, payload: { text } } };
    });
    await bus.publish(messages);
    const [partition] = await bus.offsets(topic);
    if ((partition?.end ?? 0) < (call + 1) * messagesOfCall) early += 1;
  }
  await bus.close();
  return { early };
};
