import { activeTraceparent, sendProblem, type ServiceRequest } from '@pca/service-kit';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { limitBodyTime } from '../edge/body-time.js';
import { clientAddressHeader, requestHeadersFor } from '../edge/proxy-headers.js';
import type { Upstream } from '../upstreams/upstream.js';
import { faultOfStatus } from '../upstreams/upstream-fault.js';
import type { HeldBodies } from './held-bodies.js';
import { hiddenKeyId, keyIdOf } from './ingest-key-id.js';
import type { IngestRefusals } from './ingest-refusals.js';

export interface IngestOptions {
  upstream: Upstream;
  refusals: IngestRefusals;
  held: HeldBodies;
  bytesMax: number;
  /** Longest time of one request. */
  msMax: number;
}

const paths = ['track', 'page', 'identify', 'alias', 'group', 'screen', 'batch'].map((name) => `/v1/${name}`);
const known: ReadonlySet<string | undefined> = new Set(paths);

/** Whether a route takes behaviour events: it has no token to look at, since an ingest key is analytics' to know. */
export const isIngestRoute = (url: string | undefined): boolean => known.has(url);

/**
 * Pages of any origin may send events, and read whether they were taken. Without credentials: neither cookies nor anything else that a
 * browser adds by itself means anything here. A beacon does not ask for CORS, so that the resource policy has to let it through as well.
 */
const crossOriginHeaders = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'retry-after, x-request-id',
  'cross-origin-resource-policy': 'cross-origin',
};

const preflightHeaders = {
  'access-control-allow-methods': 'POST',
  'access-control-allow-headers': 'authorization, content-type, content-encoding',
  'access-control-max-age': '86400',
};

/**
 * Behaviour events on their way to analytics, bodies as they are, compressed or not. They are held whole, unlike other REST bodies: these are
 * small, and the streams on both sides cost more than all the rest of such a request.
 */
export const routeIngest = async (fastify: FastifyInstance, options: IngestOptions): Promise<void> => {
  await fastify.register((scope, _options, done) => {
    // A scope does not inherit the handler that is set after it is made.
    scope.setErrorHandler((error, request, reply) => sendProblem(request, reply, error));
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body));
    scope.addHook('onRequest', (request, reply, next) => {
      reply.headers(crossOriginHeaders);
      // Who is gone already sends nothing more, and would never give its room back.
      if (request.method === 'POST' && !reply.raw.destroyed) {
        // Until its answer is through: it is also held while analytics is waited for.
        reply.raw.once('close', options.held.hold(request.ip, lengthOf(request)));
        limitBodyTime(request, reply, options.msMax);
      }
      next();
    });
    const config = { ownAuthentication: true };
    for (const url of paths) {
      scope.options(url, { config }, (_request, reply) => reply.code(204).headers(preflightHeaders).send());
      scope.post(url, { bodyLimit: options.bytesMax, config }, (request, reply) => forward(request, reply, options));
    }
    done();
  });
};

const lengthOf = ({ headers }: ServiceRequest): number | undefined =>
  headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined;

const forward = async (
  request: ServiceRequest,
  reply: FastifyReply,
  { upstream, refusals, msMax }: IngestOptions,
): Promise<FastifyReply> => {
  const body = Buffer.isBuffer(request.body) ? request.body : undefined;
  // What looks like a key in a compressed body need not be in what it inflates to.
  const isPlain = request.headers['content-encoding'] === undefined;
  const keyId = keyIdOf(request.headers.authorization, isPlain ? body : undefined);
  refusals.check(request.ip, keyId);
  const headers = requestHeadersFor(request.headers, request.id, activeTraceparent());
  headers[clientAddressHeader] = request.ip;
  const answer = await upstream.pass({ path: request.url, method: 'POST', headers, ...(body && { body }) }, Date.now() + msMax);
  if (answer.status === 401) await refusals.refuse(request.ip, keyId);
  else if (answer.status < 300 && keyId !== hiddenKeyId) refusals.accept(keyId);
  const fault = faultOfStatus(upstream.name, answer.status);
  if (fault && !answer.contentType.startsWith('application/problem+json')) throw fault;
  if (answer.retryAfter !== undefined) reply.header('retry-after', answer.retryAfter);
  return reply.code(answer.status).header('content-type', answer.contentType).send(answer.text);
};
