import { z } from 'zod';
import { defineEvent } from './define-event.js';

const suffix = '.dead-letters';

/** Where the messages of a topic go that some consumer group could not handle. */
export const deadLetterTopicOf = (topic: string): string => `${topic}${suffix}`;
export const isDeadLetterTopic = (topic: string): boolean => topic.endsWith(suffix);

/** Stands for the topic of each dead letter; `makeEvent` gets the real one beside it. */
const anyDeadLetterTopic = `{topic}${suffix}`;

export const deadLetter = defineEvent({
  type: 'bus.dead-letter.v1',
  topic: anyDeadLetterTopic,
  producer: 'bus',
  description:
    'A message that a consumer group could not handle, with the reason. It can be redriven: published again for that group alone.',
  schema: z.object({
    topic: z.string(),
    partition: z.int().nonnegative(),
    offset: z.int().nonnegative(),
    key: z.string(),
    consumerGroup: z.string().describe('The group that gave up; the others are not concerned'),
    reason: z.string().max(1_000),
    attempts: z.int().nonnegative().describe('How often handling began; 0 when it was no message at all'),
    value: z.string().describe('The message as it stood on the bus; in base64 where the reason says so'),
    truncated: z.boolean().describe('The value was too large and is cut; the whole of it is on the topic as long as that keeps it'),
    isMessage: z.boolean().describe('Whether the value is an event envelope, so that it can be redriven'),
  }),
  key: (payload) => payload.key,
});

export const deadLetterRedriven = defineEvent({
  type: 'bus.dead-letter-redriven.v1',
  topic: anyDeadLetterTopic,
  producer: 'bus',
  description: 'A dead letter was published again for its group.',
  schema: z.object({ deadLetterId: z.uuid(), key: z.string() }),
  key: (payload) => payload.key,
});
