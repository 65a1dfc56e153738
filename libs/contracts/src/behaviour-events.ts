import { z } from 'zod';
import { defineEvent } from './define-event.js';
import { isSurelyTracked } from './surely-tracked.js';

export const behaviourTopic = 'behaviour.events.v1';

/** Topics of so many events that the log of Postgres keeps them compressed. */
export const bulkTopics: ReadonlySet<string> = new Set([behaviourTopic]);

/** Longest ids and names, characters: what programs and people call something, not a text. */
export const behaviourLimits = { idLength: 256, nameLength: 256, eventBytes: 32_768 } as const;

const id = z.string().min(1).max(behaviourLimits.idLength);
const text = z.string().max(behaviourLimits.idLength);

/** Where an event came from. What a client says beyond this is kept among the properties, under `$context`. */
export const behaviourContextSchema = z.object({
  device: z.enum(['desktop', 'mobile', 'tablet', 'tv', 'other']).optional(),
  browser: text.optional().describe('Family, such as Chrome'),
  os: text.optional().describe('Family, such as Windows'),
  country: text.optional().describe('ISO 3166-1 alpha-2'),
  locale: text.optional(),
  timeZone: text.optional(),
  referrerHost: text.optional(),
  utmSource: text.optional(),
  utmMedium: text.optional(),
  utmCampaign: text.optional(),
  utmTerm: text.optional(),
  utmContent: text.optional(),
  ip: text.optional().describe("As the workspace's policy allows: never raw by default"),
});
export type BehaviourContext = z.infer<typeof behaviourContextSchema>;

const origin = {
  messageId: id.describe('Chosen by the client; the same id within 30 days is the same event'),
  timestamp: z.iso.datetime({ offset: true }).describe("When it happened, the client's clock corrected by the server's"),
  userId: id.nullable(),
  anonymousId: id.nullable(),
};

const trackedSchema = z
  .object({
    ...origin,
    event: z.string().min(1).max(behaviourLimits.nameLength).describe('`page` for a page view'),
    sessionId: id.nullable(),
    page: z.string().max(2_048).nullable().describe('Path or name of the page'),
    resource: z.string().max(2_048).nullable().describe('What the action was done to'),
    properties: z.record(z.string(), z.unknown()),
    context: behaviourContextSchema,
    isBot: z.boolean(),
  })
  .refine(({ userId, anonymousId }) => userId !== null || anonymousId !== null, 'userId or anonymousId is needed');
export type TrackedEvent = z.infer<typeof trackedSchema>;

interface Identities {
  userId: string | null;
  anonymousId: string | null;
}

/** Order is kept by the person, as far as the producer knows them. */
const byPerson = ({ userId, anonymousId }: Identities, workspaceId: string): string =>
  `${workspaceId}:${userId === null ? 'a' : 'u'}:${userId ?? anonymousId}`;

const producer = 'analytics';

export const eventTracked = defineEvent({
  type: 'behaviour.event-tracked.v1',
  topic: behaviourTopic,
  producer,
  description: 'Somebody did something. Other programs may publish it too, straight onto the bus.',
  schema: trackedSchema,
  key: byPerson,
  isSurely: isSurelyTracked,
});

export const sessionStarted = defineEvent({
  type: 'behaviour.session-started.v1',
  topic: behaviourTopic,
  producer,
  description: 'A client began a session, which it names by `sessionId`. Its event is `$session_start`.',
  schema: trackedSchema,
  key: byPerson,
  isSurely: isSurelyTracked,
});

export const sessionEnded = defineEvent({
  type: 'behaviour.session-ended.v1',
  topic: behaviourTopic,
  producer,
  description: 'A client ended a session. Its event is `$session_end`.',
  schema: trackedSchema,
  key: byPerson,
  isSurely: isSurelyTracked,
});

const identifiedSchema = z
  .object({ ...origin, previousId: id.nullable(), traits: z.record(z.string(), z.unknown()) })
  .refine(({ userId, anonymousId }) => userId !== null || anonymousId !== null, 'userId or anonymousId is needed');
export type IdentifiedUser = z.infer<typeof identifiedSchema>;

export const userIdentified = defineEvent({
  type: 'behaviour.user-identified.v1',
  topic: behaviourTopic,
  producer,
  description: 'A person became known (`anonymousId` and `userId`), was called by another id (`previousId`), or has new traits.',
  schema: identifiedSchema,
  key: byPerson,
});

export const userErased = defineEvent({
  type: 'behaviour.user-erased.v1',
  topic: behaviourTopic,
  producer,
  description: 'A person is to be forgotten: whoever keeps something of these ids deletes it.',
  schema: z.object({
    erasureId: z.uuid(),
    userIds: z.array(id).max(10_000),
    anonymousIds: z.array(id).max(10_000),
    erasedAt: z.iso.datetime(),
  }),
  key: ({ erasureId }, workspaceId) => `${workspaceId}:erasure:${erasureId}`,
});
