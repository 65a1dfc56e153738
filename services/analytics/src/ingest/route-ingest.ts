import { DomainError, isDomainError } from '@pca/errors';
import { activeTraceparent, sendProblem, type ServiceRequest } from '@pca/service-kit';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { IngestKeyService } from '../ingest-keys/ingest-key.service.js';
import type { IngestKey } from '../ingest-keys/ingest-key.store.js';
import type { Acceptance, IngestItem, IngestService } from './ingest.service.js';
import { isObject } from './reading/event-context.js';
import { checkEventSize, ingestLimits } from './reading/event-limits.js';
import { inflateBody } from './reading/inflate-body.js';
import { type EventType, eventTypes } from './reading/read-event.js';
import { visitorOf } from './visitor.js';

/**
 * The calls of the Segment HTTP spec, as routes of Fastify's own: this is the hot path. The body is JSON, whatever of the two types it says
 * that it is, and is decompressed and parsed when a key in the header is known to be good.
 */
export const routeIngest = (fastify: FastifyInstance, ingest: IngestService, keys: IngestKeyService): void => {
  void fastify.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(['application/json', 'text/plain'], { parseAs: 'buffer' }, ({ headers }, body, parsed) =>
      parsed(null, headers['content-encoding'] ? body : body.toString()),
    );
    for (const call of [...eventTypes, 'batch'] as const) {
      const route = {
        bodyLimit: ingestLimits.batchBytes,
        config: { ownAuthentication: true },
        errorHandler: (error: unknown, request: ServiceRequest, reply: FastifyReply) => sendProblem(request, reply, error),
      };
      scope.post(`/v1/${call}`, route, async (request, reply) => {
        const answer = await take(call, request, ingest, keys);
        return reply.code(202).header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(answer));
      });
    }
    done();
  });
};

/** Throws what is wrong with the request, which for a single call is also what is wrong with its event. */
const take = async (
  call: EventType | 'batch',
  request: ServiceRequest,
  ingest: IngestService,
  keys: IngestKeyService,
): Promise<Pick<Acceptance, 'accepted' | 'errors'>> => {
  const given = keyOf(request.headers.authorization);
  const early = given === undefined ? undefined : await admitted(ingest, keys, given);
  const { bytes, body } = await readBody(request, async (bytesRead, fault) => {
    if (early) await ingest.take(early.id, eventsFor(bytesRead));
    throw !early && Buffer.isBuffer(request.body) ? keyUnread(fault) : fault;
  });
  const { id, workspaceId } = early ?? (await admitted(ingest, keys, body['writeKey']));
  const taken = eventsFor(bytes);
  await ingest.take(id, taken);
  const source = {
    workspaceId,
    budget: id,
    visitor: visitorOf(request),
    sentAt: body['sentAt'],
    bytes,
    taken,
    correlationId: request.id,
    traceparent: activeTraceparent(),
  };
  const { accepted, errors } = await ingest.accept(source, call === 'batch' ? batchOf(body) : [{ type: call, event: body }]);
  const [first] = errors;
  if (first && call !== 'batch') throw new DomainError(first.code, first.message, { messageId: first.messageId });
  return { accepted, errors };
};

const admitted = async (ingest: IngestService, keys: IngestKeyService, key: unknown): Promise<IngestKey> => {
  const known = await keys.verify(typeof key === 'string' ? key : undefined);
  await ingest.take(known.id, 0);
  return known;
};

/** What a body costs to read, in events, whatever is in it: a few bytes may inflate to a whole batch of nothing. */
const eventsFor = (bytes: number): number => Math.floor(bytes / 1024);

/**
 * The body, and its bytes as text. What cannot be read is handed to `refuse` with the bytes that had to be looked at, all that there may be
 * where it could not be decompressed.
 */
const readBody = async (
  request: ServiceRequest,
  refuse: (bytes: number, fault: unknown) => Promise<never>,
): Promise<{ bytes: number; body: Record<string, unknown> }> => {
  let bytes: number = ingestLimits.batchBytes;
  try {
    const text = typeof request.body === 'string' ? request.body : await textOf(request);
    bytes = text.length;
    return { bytes, body: parseBody(text) };
  } catch (fault) {
    return refuse(bytes, fault);
  }
};

/** Whoever hides the key in what cannot be read is nobody, and is counted by the gateway as that. */
const keyUnread = (fault: unknown): unknown =>
  isDomainError(fault)
    ? new DomainError(
        'UNAUTHENTICATED',
        `No ingest key in the header, and none can be read in the body: ${fault.message}`,
        {},
        { cause: fault },
      )
    : fault;

/** Of a request that has a Content-Encoding, or no body. */
const textOf = async ({ body, headers }: ServiceRequest): Promise<string> =>
  Buffer.isBuffer(body) ? inflateBody(body, headers['content-encoding'] ?? '') : '';

/** The key as basic-auth user, as Segment's libraries send it, or as bearer. */
const keyOf = (authorization: string | undefined): string | undefined => {
  const match = /^(Basic|Bearer) +([A-Za-z0-9._~+/=-]{1,512})$/i.exec(authorization ?? '');
  if (!match?.[2]) return undefined;
  return match[1]?.toLowerCase() === 'bearer' ? match[2] : Buffer.from(match[2], 'base64').toString().split(':')[0];
};

const parseBody = (text: string): Record<string, unknown> => {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new DomainError('BAD_REQUEST', 'The body is no JSON');
  }
  if (!isObject(body)) throw new DomainError('BAD_USER_INPUT', 'The body is a JSON object');
  return body;
};

/** What the batch says of its context holds for each event that does not say otherwise: a refusal of consent above all. */
const batchOf = ({ batch, context }: Record<string, unknown>): IngestItem[] => {
  if (!Array.isArray(batch)) throw new DomainError('BAD_USER_INPUT', 'batch is an array of events');
  if (batch.length > ingestLimits.batchEvents) {
    throw new DomainError('PAYLOAD_TOO_LARGE', `A batch has at most ${ingestLimits.batchEvents} events, not ${batch.length}`);
  }
  // It is copied to each of them, so it is no larger than one of them.
  if (isObject(context)) checkEventSize(context);
  const events: unknown[] = isObject(context) ? batch.map((event: unknown) => withContext(event, context)) : batch;
  return events.map((event) => ({ type: isObject(event) ? event['type'] : undefined, event }));
};

const withContext = (event: unknown, context: Record<string, unknown>): unknown => {
  if (!isObject(event) || (event['context'] !== undefined && !isObject(event['context']))) return event;
  return { ...event, context: { ...context, ...event['context'] } };
};
