import { DomainError } from '@pca/errors';
import { activeTraceparent, inSpan, principalOf, sendProblem, type ServiceRequest, SpanKind } from '@pca/service-kit';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Upstream } from '../upstreams/upstream.js';
import { faultOfStatus } from '../upstreams/upstream-fault.js';
import { countedBody, tooLarge } from './counted-body.js';
import { requestHeadersFor, responseHeadersFrom } from './proxy-headers.js';
import type { RestRoute } from './rest-routes.js';

export interface ProxyOptions {
  routes: readonly RestRoute[];
  upstreamOf: (service: string) => Upstream;
  /** Names of headers that the gateway sets itself. */
  ownHeaders: ReadonlySet<string>;
}

/** A client that sends nothing for so long holds a place that others wait for. */
const bodySilenceMsMax = 60_000;

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** Hands REST requests on to their services, bodies streamed both ways and never held; the token is checked here first, and there again. */
export const proxyRest = async (fastify: FastifyInstance, { routes, upstreamOf, ownHeaders }: ProxyOptions): Promise<void> => {
  await fastify.register((scope, _options, done) => {
    // A scope does not inherit the handler that is set after it is made.
    scope.setErrorHandler((error, request, reply) => sendProblem(request, reply, error));
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
    scope.addHook('onRequest', async (request: ServiceRequest) => void principalOf(request));
    for (const route of routes) {
      const upstream = upstreamOf(route.service);
      const handler = (request: ServiceRequest, reply: FastifyReply): Promise<FastifyReply> =>
        forward(request, reply, route, upstream, ownHeaders);
      for (const url of [route.prefix, `${route.prefix}/*`]) scope.route({ method: [...methods], url, handler });
    }
    done();
  });
};

const forward = async (
  request: ServiceRequest,
  reply: FastifyReply,
  route: RestRoute,
  upstream: Upstream,
  ownHeaders: ReadonlySet<string>,
): Promise<FastifyReply> => {
  const [path = ''] = request.url.split('?');
  requirePlain(path);
  if (Number(request.headers['content-length'] ?? 0) > route.bytesMax) throw tooLarge(route.bytesMax);
  const body = hasBody(request) ? countedBody(request.raw, route.bytesMax, Math.min(route.silenceMsMax, bodySilenceMsMax)) : null;
  const answer = await inSpan(
    `${request.method} ${route.service}`,
    SpanKind.CLIENT,
    { 'server.address': route.service, 'url.path': path },
    () => upstream.stream((pool) => send(pool, request, body, route)),
  ).catch((error: unknown) => {
    body?.destroy();
    throw error;
  });
  // A service may answer while it reads, and may end before it has read everything; then nobody reads the rest.
  answer.body.once('close', () => body?.destroy());
  const fault = faultOfStatus(route.service, answer.statusCode);
  if (fault && !String(answer.headers['content-type']).startsWith('application/problem+json')) {
    void answer.body.dump();
    throw fault;
  }
  return reply.code(answer.statusCode).headers(responseHeadersFrom(answer.headers, ownHeaders)).send(answer.body);
};

const send = (
  pool: Dispatcher,
  request: ServiceRequest,
  body: Readable | null,
  { silenceMsMax, msMax }: RestRoute,
): Promise<Dispatcher.ResponseData> =>
  pool.request({
    path: request.url,
    method: request.method as Dispatcher.HttpMethod,
    headers: requestHeadersFor(request.headers, request.id, activeTraceparent()),
    body,
    headersTimeout: silenceMsMax,
    bodyTimeout: silenceMsMax,
    signal: msMax === undefined ? null : AbortSignal.timeout(msMax),
  });

const hasBody = ({ headers }: ServiceRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Throws BAD_USER_INPUT for a path that would be another one after its dots are resolved: it would leave the prefix that allowed it. */
const requirePlain = (path: string): void => {
  if (/(^|[/\\])(\.|%2e){1,2}([/\\]|$)/i.test(path)) throw new DomainError('BAD_USER_INPUT', 'The path must not hold dot segments');
};
