import { deadLetter, deadLetterTopicOf, makeEvent, workspaceIdSchema } from '@pca/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { BusMessage } from '@pca/contracts';

const reasonLengthMax = 1_000;
const keyBytesMax = 1_024;
/** Of the value as a text inside the letter's JSON, in which one character may become six. */
const valueBytesMax = 3 * 1024 * 1024;
const cutLength = 64 * 1024;
const noKey = '(none)';

/** A message that is no message: bytes on the topic that do not parse. */
export interface Fault {
  readonly key: string | null;
  readonly value: string;
  readonly reason: string;
}

export interface Undeliverable {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly consumerGroup: string;
  readonly reason: string;
  readonly attempts: number;
  readonly what: BusMessage | Fault;
}

/** What is published to the dead-letter topic for a message that a group gave up. */
export const deadLetterOf = ({ topic, partition, offset, consumerGroup, reason, attempts, what }: Undeliverable): BusMessage => {
  const isMessage = 'envelope' in what;
  const value = isMessage ? JSON.stringify(what.envelope) : what.value;
  const truncated = Buffer.byteLength(JSON.stringify(value)) > valueBytesMax;
  const key = what.key === null || what.key === '' || Buffer.byteLength(what.key) > keyBytesMax ? noKey : what.key;
  const workspaceId = isMessage ? workspaceIdSchema.safeParse(what.envelope.workspaceId).data : undefined;
  const letter = makeEvent(
    deadLetter,
    {
      topic,
      partition,
      offset,
      key,
      consumerGroup,
      reason: reason.slice(0, reasonLengthMax),
      attempts,
      value: truncated ? value.slice(0, cutLength) : value,
      truncated,
      isMessage: isMessage && !truncated,
    },
    {
      workspaceId: workspaceId ?? 'unknown',
      correlationId: isMessage && typeof what.envelope.correlationId === 'string' ? what.envelope.correlationId : uuidv7(),
      traceparent: isMessage && typeof what.envelope.traceparent === 'string' ? what.envelope.traceparent : null,
    },
  );
  return { ...letter, topic: deadLetterTopicOf(topic) };
};
