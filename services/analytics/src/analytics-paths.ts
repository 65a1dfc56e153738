import { z } from 'zod';
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { erasureStates } from './erasure/erasure.store.js';
import { FeatureByEnum } from './features/feature.types.js';
import { limitSchema, stepsSchema } from './questions/limits.js';

const instant = z.iso.datetime();
const asOf = instant.nullable().describe('Everything received until then is in the answer; null while that is not known');

const user = {
  id: z.string().describe('Their userId, else the first anonymousId'),
  aliases: z.array(z.string()).describe('Their other ids, at most a thousand'),
  traits: z.record(z.string(), z.unknown()).describe('Of a trait that was said twice, what was said last'),
  firstSeenAt: instant.nullable().describe('Null for who did nothing'),
  lastSeenAt: instant.nullable(),
  asOf,
};
const stats = z
  .object({
    events: z.int(),
    sessions: z.int(),
    activeDays: z.int().describe("Days with an event, in the workspace's time zone"),
    pageViews: z.int(),
    averageSessionSeconds: z.number().nullable().describe('Null without a session'),
    favouriteFeatures: z
      .array(z.object({ event: z.string(), count: z.int() }))
      .describe('The five events that they did most, page views apart'),
    firstSeenAt: instant.nullable(),
    lastSeenAt: instant.nullable(),
    asOf,
  })
  .meta({ id: 'UserStats' });
const text = z.string().nullable();
const session = z
  .object({
    id: z.string().describe("The client's name for it, else opaque"),
    userId: text.describe('Who began it'),
    startedAt: instant,
    endedAt: instant.describe('Of its last event so far'),
    durationSeconds: z.number(),
    device: text.describe('desktop, mobile, tablet, tv or other'),
    browser: text,
    os: text,
    country: text.describe('ISO 3166-1 alpha-2'),
    events: z.int().describe('Its own beginning and end are none'),
    pageViews: z.int(),
    isBounce: z.boolean().describe('One page view and nothing else'),
    entryPage: text,
    exitPage: text,
    referrerHost: text,
    utmCampaign: text.describe('Of the first event that names a campaign'),
    utmSource: text,
    utmMedium: text,
    utmTerm: text,
    utmContent: text,
    asOf,
  })
  .meta({ id: 'Session' });
const step = z
  .object({
    at: instant,
    lastAt: instant.describe('Of the last repeat'),
    step: z.string().describe('The page of a page view, else the event'),
    event: z.string(),
    page: text,
    resource: text,
    count: z.int(),
    sessionId: z.string(),
  })
  .meta({ id: 'JourneyStep' });
const usage = {
  count: z.number(),
  users: z.int().describe('Persons who did it'),
  sessions: z.int().describe('Sessions in which it was done'),
  asOf,
};
const feature = z
  .object({
    event: z.string().describe('By RESOURCE: the event that is done to it most often'),
    resource: text.describe('Null by EVENT'),
    ...usage,
  })
  .meta({ id: 'FeatureUsage' });
const page = z.object({ page: z.string().describe('Path or name'), ...usage }).meta({ id: 'PageUsage' });
const behaviour = z
  .object({
    activeUsers: z.int().describe('Persons who did anything'),
    sessions: z.int().describe('Those that began in the range'),
    events: z.number().describe('Beginnings and ends of sessions are none'),
    pageViews: z.number(),
    bounceRate: z.number().nullable().describe('Sessions with one page view and nothing else, a fraction; null without a session'),
    averageSessionSeconds: z.number().nullable(),
    asOf,
  })
  .meta({ id: 'BehaviourTotals' });
const erasure = z
  .object({
    id: z.uuid(),
    state: z.enum(erasureStates),
    requestedAt: instant,
    requestedBy: z.string().describe('Subject of the token of whoever asked for it'),
    storesCleanAt: instant.nullable(),
    doneAt: instant.nullable(),
    eventsDeleted: z.int(),
  })
  .meta({ id: 'ErasureRequest', description: 'That somebody is forgotten. It does not say who' });
const ingestKey = z
  .object({
    id: z.uuid(),
    name: z.string(),
    prefix: z.string().describe('Its first characters, by which people tell keys apart'),
    createdBy: z.string(),
    createdAt: instant,
    expiresAt: instant.nullable().describe('From then on another key stands in its place'),
    revokedAt: instant.nullable(),
  })
  .meta({ id: 'IngestKey' });
const madeKey = z
  .object({ key: z.string().describe('The key itself: it is shown this once and kept nowhere'), ingestKey })
  .meta({ id: 'MadeIngestKey' });

const json = (schema: z.ZodType, description: string) => ({ description, content: { 'application/json': { schema } } });
const idOf = (description: string) => z.object({ id: z.string().max(256).describe(description) });
const userPath = idOf('A userId, else an anonymousId, whichever they go by now');
const keyPath = z.object({ id: z.uuid() });
const range = {
  from: z.string().optional().describe('A day, or an ISO 8601 instant; absent: from the first event on'),
  to: z.string().optional().describe('Inclusive; absent: up to the last event'),
};
const limit = limitSchema.optional().describe('20 when absent');
const includeBots = z.boolean().optional().describe('false when absent');

const question = (operation: ZodOpenApiOperationObject): { get: ZodOpenApiOperationObject } => ({
  get: { tags: ['analytics'], ...operation },
});
const administration = (operation: ZodOpenApiOperationObject): ZodOpenApiOperationObject => ({
  tags: ['analytics administration'],
  ...operation,
});
const body = (schema: z.ZodType, required = true) => ({ required, content: { 'application/json': { schema } } });

const questions: ZodOpenApiPathsObject = {
  '/v1/analytics/users': question({
    operationId: 'listUsers',
    summary: 'Persons who did something or of whom traits are known, in the order of their ids',
    requestParams: {
      query: z.object({
        search: z.string().max(256).optional().describe('Looked for in all their ids, their name and email, without case'),
        limit,
        includeBots,
      }),
    },
    responses: { 200: json(z.object({ users: z.array(z.object(user).meta({ id: 'User' })), asOf }), 'Users') },
  }),
  '/v1/analytics/users/{id}': question({
    operationId: 'getUser',
    summary: 'A person, under whichever ids they came, with what they did in all',
    requestParams: { path: userPath, query: z.object({ includeBots }) },
    responses: { 200: json(z.object({ ...user, stats }).meta({ id: 'UserWithStats' }), 'The user') },
  }),
  '/v1/analytics/users/{id}/sessions': question({
    operationId: 'listSessionsOfUser',
    summary: 'Their latest sessions, the newest first, each with what they did in it themselves',
    requestParams: { path: userPath, query: z.object({ limit, includeBots }) },
    responses: { 200: json(z.object({ sessions: z.array(session), asOf }), 'Sessions') },
  }),
  '/v1/analytics/users/{id}/journey': question({
    operationId: 'getJourneyOfUser',
    summary: 'Their latest steps of the range, in the order of time; repeats in a row within a session are one',
    requestParams: {
      path: userPath,
      query: z.object({ ...range, limit: stepsSchema.optional().describe('100 when absent'), includeBots }),
    },
    responses: { 200: json(z.object({ journey: z.array(step), asOf }), 'Steps') },
  }),
  '/v1/analytics/sessions/{id}': question({
    operationId: 'getSession',
    summary: 'A session, whoever was in it',
    requestParams: { path: idOf('The name that the client gave it, or the id of a list'), query: z.object({ includeBots }) },
    responses: { 200: json(session, 'The session') },
  }),
  '/v1/analytics/feature-usage': question({
    operationId: 'getFeatureUsage',
    summary: 'What is done most, first',
    requestParams: {
      query: z.object({ ...range, limit, by: z.enum(FeatureByEnum).optional().describe('EVENT when absent'), includeBots }),
    },
    responses: { 200: json(z.object({ featureUsage: z.array(feature), asOf }), 'Features') },
  }),
  '/v1/analytics/page-views': question({
    operationId: 'getPageViews',
    summary: 'The pages that are viewed most, first',
    requestParams: { query: z.object({ ...range, limit, includeBots }) },
    responses: { 200: json(z.object({ pageViews: z.array(page), asOf }), 'Pages') },
  }),
  '/v1/analytics/behaviour': question({
    operationId: 'getBehaviour',
    summary: 'What people did in a range, in numbers',
    requestParams: {
      query: z.object({
        ...range,
        timeZone: z.string().max(64).optional().describe("IANA name, whose days the range has; the workspace's when absent"),
        includeBots,
      }),
    },
    responses: { 200: json(behaviour, 'Totals') },
  }),
};

/** REST routes of questions and of what owners do. */
export const analyticsPaths: ZodOpenApiPathsObject = {
  ...questions,
  '/v1/analytics/erasures': {
    post: administration({
      operationId: 'requestErasure',
      summary: 'Forgets a person under all of their ids',
      description:
        'Nothing of them is to be found when it answers; what is stored is deleted in the background. A repeat answers with the request that there was.',
      requestBody: body(z.object({ userId: z.string().max(256).describe('A userId, else an anonymousId') })),
      responses: { 202: json(erasure, 'How far it is; Location names it'), 404: { description: 'Nobody in this workspace has this id' } },
    }),
  },
  '/v1/analytics/erasures/{id}': {
    get: administration({
      operationId: 'getErasure',
      summary: 'How far an erasure is',
      requestParams: { path: keyPath },
      responses: { 200: json(erasure, 'The request') },
    }),
  },
  '/v1/analytics/ingest-keys': {
    get: administration({
      operationId: 'listIngestKeys',
      summary: 'Keys of the workspace, with those that have ended, the newest first; at most 1,000',
      responses: { 200: json(z.object({ ingestKeys: z.array(ingestKey) }), 'Keys, but for what opens something') },
    }),
    post: administration({
      operationId: 'createIngestKey',
      summary: 'Makes a key with which programs send behaviour events, and which opens nothing else',
      description: 'A repeat makes another one: the key is kept nowhere, so that it cannot be told again.',
      requestBody: body(z.object({ name: z.string().max(256).describe('What people call it') })),
      responses: { 201: json(madeKey, 'The key, this once') },
    }),
  },
  '/v1/analytics/ingest-keys/{id}/rotate': {
    post: administration({
      operationId: 'rotateIngestKey',
      summary: 'A new key in the place of one, which stays good for the overlap',
      requestParams: { path: keyPath },
      requestBody: body(z.object({ overlapHours: z.int().min(0).max(720).optional().describe('24 when absent') }), false),
      responses: { 201: json(madeKey, 'The new key, this once') },
    }),
  },
  '/v1/analytics/ingest-keys/{id}/revoke': {
    post: administration({
      operationId: 'revokeIngestKey',
      summary: 'It opens nothing any more, everywhere within ten seconds',
      requestParams: { path: keyPath },
      responses: { 200: json(ingestKey, 'The key') },
    }),
  },
};
