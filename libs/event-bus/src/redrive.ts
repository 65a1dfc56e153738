import {
  type BusMessage,
  deadLetter,
  deadLetterRedriven,
  deadLetterTopicOf,
  type EventDefinition,
  type EventEnvelope,
  isDeadLetterTopic,
  makeEvent,
} from '@pca/contracts';
import { DomainError, isDomainError } from '@pca/errors';
import { checkEnvelope, encodeMessage } from './encode-message.js';
import type { EventBus, EventBusAdmin } from './event-bus.js';
import { readTopic } from './read-topic.js';

/** A message that a group gave up and that nobody has redriven yet. */
export interface OpenDeadLetter {
  /** Ids of its letters, oldest first: a message that was given up again has several. */
  readonly ids: readonly string[];
  /** Where it stands, or stood, on the bus. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  /** The group that gave up. */
  readonly consumerGroup: string;
  readonly reason: string;
  readonly attempts: number;
  /** When it was given up. */
  readonly at: string;
  /** What it is; undefined when it is no event at all. */
  readonly event: { readonly id: string; readonly type: string } | undefined;
  /** Why it cannot be redriven, if that is so. */
  readonly obstacle: string | undefined;
}

export interface RedriveFilter {
  /** The topic that the messages were on. */
  readonly topic: string;
  readonly group?: string | undefined;
  readonly type?: string | undefined;
  /** Of a letter, or of the event in it. */
  readonly id?: string | undefined;
}

export interface Redriven {
  readonly redriven: readonly OpenDeadLetter[];
  /** They stay open. */
  readonly refused: readonly OpenDeadLetter[];
}

type Letter = ReturnType<typeof deadLetter.schema.parse>;

// Half of what a bus takes in one call.
const chunkMessagesMax = 500;
const chunkBytesMax = 4 * 1024 * 1024;

/**
 * What of a topic's dead letters was not redriven, oldest first within a key. Holds their heads in memory, not what is in them.
 * BAD_USER_INPUT for a topic of dead letters.
 */
export const openDeadLetters = async (bus: EventBus & EventBusAdmin, filter: RedriveFilter): Promise<OpenDeadLetter[]> => {
  const { topic, group, type, id } = filter;
  if (isDeadLetterTopic(topic))
    throw new DomainError('BAD_USER_INPUT', 'Name the topic itself, not the one of its dead letters', { topic });
  const open = new Map<string, OpenDeadLetter>();
  await readTopic(bus, deadLetterTopicOf(topic), (messages) => {
    for (const { envelope } of messages) {
      const redriven = payloadOf(deadLetterRedriven, envelope);
      // A marker has the key of its letter, so it comes after it.
      if (redriven) open.delete(redriven.deadLetterId);
      const letter = payloadOf(deadLetter, envelope);
      if (letter) open.set(envelope.id, headOf(envelope, letter));
    }
  });
  const merged = new Map<string, OpenDeadLetter>();
  for (const head of open.values()) {
    const place = JSON.stringify([head.topic, head.partition, head.offset, head.consumerGroup]);
    merged.set(place, { ...head, ids: [...(merged.get(place)?.ids ?? []), ...head.ids] });
  }
  return [...merged.values()].filter(
    (head) =>
      (group === undefined || head.consumerGroup === group) &&
      (type === undefined || head.event?.type === type) &&
      (id === undefined || head.ids.includes(id) || head.event?.id === id),
  );
};

/**
 * Publishes open dead letters again, each for the group alone that gave it up, in their order per key, and marks them as redriven. Killed in
 * between, it publishes some twice when it is run again, with the same event ids, and loses none. A letter without an event, or with one that
 * is cut, is refused and stays open.
 */
export const redrive = async (bus: EventBus & EventBusAdmin, filter: RedriveFilter): Promise<Redriven> => {
  const open = await openDeadLetters(bus, filter);
  const refused = open.filter(({ obstacle }) => obstacle !== undefined);
  const byFirstId = new Map(open.filter(({ obstacle }) => obstacle === undefined).map((head) => [head.ids[0], head]));
  const redriven: OpenDeadLetter[] = [];
  await readTopic(bus, deadLetterTopicOf(filter.topic), async (messages) => {
    const wanted = messages.flatMap(({ envelope }) => {
      const head = byFirstId.get(envelope.id);
      const letter = head && payloadOf(deadLetter, envelope);
      return letter ? [{ head, message: messageIn(letter) }] : [];
    });
    for (const chunk of chunksOf(wanted)) {
      await bus.publish(chunk.map(({ message }) => message));
      await bus.publish(chunk.flatMap(({ head }) => markersOf(head)));
      redriven.push(...chunk.map(({ head }) => head));
    }
  });
  return { redriven, refused };
};

const payloadOf = <S extends EventDefinition['schema']>(
  definition: EventDefinition<S>,
  envelope: EventEnvelope,
): ReturnType<S['parse']> | undefined =>
  envelope.type === definition.type
    ? (definition.schema.safeParse(envelope.payload).data as ReturnType<S['parse']> | undefined)
    : undefined;

const headOf = ({ id, occurredAt }: EventEnvelope, letter: Letter): OpenDeadLetter => {
  const { topic, partition, offset, key, consumerGroup, reason, attempts } = letter;
  const common = { ids: [id], topic, partition, offset, key, consumerGroup, reason, attempts, at: occurredAt };
  if (letter.truncated) return { ...common, event: undefined, obstacle: 'it was too large for a dead letter and is cut' };
  if (!letter.isMessage) return { ...common, event: undefined, obstacle: 'it is no message' };
  try {
    const message = messageIn(letter);
    encodeMessage(message);
    return { ...common, event: { id: message.envelope.id, type: message.envelope.type }, obstacle: undefined };
  } catch (error) {
    return { ...common, event: undefined, obstacle: isDomainError(error) ? error.message : 'it is no message' };
  }
};

/** What is in a letter, for its group alone. Throws when that is no event. */
const messageIn = ({ topic, key, consumerGroup, value }: Letter): BusMessage => {
  const envelope: unknown = JSON.parse(value);
  checkEnvelope(envelope);
  return { topic, key, envelope, consumerGroup };
};

const markersOf = ({ ids, topic, key }: OpenDeadLetter): BusMessage[] =>
  ids.map((deadLetterId) => ({
    ...makeEvent(deadLetterRedriven, { deadLetterId, key }, { workspaceId: 'unknown', correlationId: deadLetterId }),
    topic: deadLetterTopicOf(topic),
  }));

const chunksOf = <T extends { readonly message: BusMessage }>(items: readonly T[]): T[][] => {
  const chunks: T[][] = [];
  let bytes = Infinity;
  for (const item of items) {
    const size = encodeMessage(item.message).bytes;
    const last = chunks.at(-1);
    if (last && last.length < chunkMessagesMax && bytes + size <= chunkBytesMax) {
      last.push(item);
      bytes += size;
    } else {
      chunks.push([item]);
      bytes = size;
    }
  }
  return chunks;
};
