import { z } from 'zod';
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { analyticsPaths } from './analytics-paths.js';
import { ingestLimits } from './ingest/reading/event-limits.js';
import { eventTypes } from './ingest/reading/read-event.js';

const id = z.union([z.string().max(256), z.number()]);
const json = z.record(z.string(), z.unknown());

const shared = {
  userId: id.optional().describe('One of userId and anonymousId is needed'),
  anonymousId: id.optional(),
  messageId: id.optional().describe('The same within 30 days counts once. Absent: one is made, and a repeat of the request counts again'),
  timestamp: z.string().optional().describe('ISO 8601 instant by the client, years back if need be; absent: now'),
  sentAt: z
    .string()
    .optional()
    .describe("When it was sent, by the client's clock: with timestamp it corrects a clock that is off by more than 5 s"),
  context: json
    .optional()
    .describe(
      'userAgent, ip, page, campaign, locale, timezone, location.country, device.type and os.name are understood; the rest is kept under the property $context. ' +
        'With consent.categoryPreferences.analytics false or doNotTrack true the event is accepted and stored nowhere',
    ),
  writeKey: z.string().optional().describe('The ingest key, where no header can be sent'),
};
const tracked = {
  sessionId: id.optional().describe('Absent: sessions follow from 30 minutes of inactivity'),
  properties: json
    .optional()
    .describe(`Up to ${ingestLimits.keys} keys an object, ${ingestLimits.depth} levels deep; resource becomes what it was done to`),
};
const named = { name: z.string().optional(), category: z.string().optional() };

const calls: Record<(typeof eventTypes)[number], { summary: string; body: z.ZodObject }> = {
  track: { summary: 'Somebody did something', body: z.object({ event: z.string().max(256), ...shared, ...tracked }) },
  page: { summary: 'Somebody saw a page', body: z.object({ ...named, ...shared, ...tracked }) },
  screen: { summary: 'Somebody saw a screen of an app', body: z.object({ ...named, ...shared, ...tracked }) },
  identify: { summary: 'A person becomes known, or has new traits', body: z.object({ ...shared, traits: json.optional() }) },
  alias: { summary: 'A person gets another id', body: z.object({ ...shared, userId: id, previousId: id }) },
  group: { summary: 'A person belongs to a group', body: z.object({ groupId: id, ...shared, traits: json.optional() }) },
};

const problemOfItem = z
  .object({
    index: z.int().describe('Place in the batch'),
    messageId: z.string().nullable(),
    code: z.string().describe('As in docs/errors.md'),
    message: z.string(),
  })
  .meta({ id: 'RefusedEvent' });
const acceptance = z
  .object({
    accepted: z.int().describe('Events that are durable, and those that were withheld for want of consent'),
    errors: z.array(problemOfItem).describe('Of a batch; a single call answers with the problem itself'),
  })
  .meta({ id: 'Acceptance' });

const described =
  'Answered when the events are durable. Unknown keys beside those named here are kept under the property $extra; names that begin with "$" are reserved. ' +
  `An event has at most ${ingestLimits.eventBytes} bytes. The body may come with Content-Encoding gzip, deflate, br or zstd; limits are of what it inflates to. ` +
  'After 429 and 503 send the same again: events are told by their messageId.';

const operationOf = (call: string, summary: string, body: z.ZodType): ZodOpenApiOperationObject => ({
  tags: ['behaviour'],
  operationId: `${call}Behaviour`,
  summary,
  description: described,
  security: [{ ingestKey: [] }, { bearer: [] }],
  requestBody: { required: true, content: { 'application/json': { schema: body }, 'text/plain': { schema: body } } },
  responses: { 202: { description: 'Taken', content: { 'application/json': { schema: acceptance } } } },
});

const { writeKey, sentAt } = shared;
const batch = z.object({
  batch: z
    .array(z.object({ type: z.enum(eventTypes) }).loose())
    .max(ingestLimits.batchEvents)
    .describe('Bodies of the other calls, each with its type'),
  sentAt,
  writeKey,
});

/** REST routes of this service, for the one OpenAPI document. */
export const paths: ZodOpenApiPathsObject = {
  ...Object.fromEntries(eventTypes.map((type) => [`/v1/${type}`, { post: operationOf(type, calls[type].summary, calls[type].body) }])),
  ...analyticsPaths,
  '/v1/batch': { post: operationOf('batch', `Up to ${ingestLimits.batchEvents} events in ${ingestLimits.batchBytes} bytes`, batch) },
};
