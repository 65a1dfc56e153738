import { randomUUID } from 'node:crypto';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import type { ServiceRequest } from '../auth/require-scope.js';
import type { TokenVerifier } from '../auth/token-verifier.js';
import type { Logger } from '../observability/logger.js';
import { httpRequestSeconds, registry } from '../observability/metrics.js';
import { contextFromHeaders, failSpan, SpanKind, startSpan, tracingEnabled, withContext } from '../observability/tracing.js';
import { seams } from '../seams.js';
import type { Health } from './health.js';
import { refuseUnreadable, refuseUnroutable } from './unreadable-request.js';

export interface HttpServerOptions {
  logger: Logger;
  verifier: TokenVerifier;
  health: Health;
  /** Largest body of a JSON request, bytes. */
  bodyBytesMax?: number;
  /** Addresses and CIDRs of proxies whose X-Forwarded-For is believed; nobody's otherwise. */
  trustedProxies?: readonly string[];
}

/** Ids of clients have up to 256 characters; a longer one still reaches whoever says what is wrong with it. */
const pathParameterCharsMax = 1_024;
const drainMsMax = 2_000;
const requestIdPattern = /^[A-Za-z0-9._-]{1,64}$/;
/** Paths that answer without a look at the token. */
const openPaths = new Set(['/health/live', '/health/ready', '/metrics']);

/** Fastify with what every process has: request ids, tokens, traces, metrics, health, and problems for errors. */
export const createHttpServer = (options: HttpServerOptions): FastifyAdapter => {
  const adapter = new FastifyAdapter({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.bodyBytesMax ?? 1_048_576,
    ...(options.trustedProxies?.length && { trustProxy: [...options.trustedProxies] }),
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: (request: IncomingMessage) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID();
    },
    routerOptions: { maxParamLength: pathParameterCharsMax },
    requestTimeout: 0,
    connectionTimeout: 0,
    onProtoPoisoning: 'remove',
    onConstructorPoisoning: 'remove',
    clientErrorHandler: refuseUnreadable,
    frameworkErrors: (_error: Error, _request: FastifyRequest, reply: FastifyReply) => refuseUnroutable(reply.raw),
  });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  addHooks(fastify, options);
  addOwnRoutes(fastify, options.health);
  return adapter;
};

const addHooks = (fastify: FastifyInstance, { verifier, health }: HttpServerOptions): void => {
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    if (!tracingEnabled()) return done();
    const { span, context: active } = startSpan(
      `${request.method} ${request.routeOptions.url ?? 'unknown'}`,
      SpanKind.SERVER,
      { 'http.request.method': request.method, 'url.path': request.url.split('?')[0] ?? '' },
      contextFromHeaders(request.headers),
    );
    reply.raw.once('close', () => {
      span.setAttribute('http.response.status_code', reply.statusCode);
      if (reply.statusCode >= 500) failSpan(span, `status ${reply.statusCode}`);
      span.end();
    });
    withContext(active, done);
  });
  fastify.addHook('onRequest', (request, _reply, done) => {
    // Many clients name a content type on every request; a deletion has no body to parse, and an empty text is no JSON.
    if (request.method === 'DELETE' && !hasBody(request)) delete request.headers['content-type'];
    done();
  });
  fastify.addHook('onRequest', async (request: ServiceRequest) => {
    if (openPaths.has(request.routeOptions.url ?? '')) return;
    if (seams.inbound.active) await seams.inbound.pass({ method: request.method, url: request.url });
    if (request.routeOptions.config.ownAuthentication) return;
    try {
      request.principal = await verifier.principalOf(request.headers.authorization);
    } catch (error) {
      // Kept and thrown where a scope is asked for: some routes are open, and GraphQL answers in its own shape.
      request.authFailure = error;
    }
  });
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    // An answer may come before the body has: the connection then ends with it, for the rest of the body would be taken for the next
    // request.
    // A kept connection would hold up a shutdown until its client lets go of it.
    if (health.isDraining || (!request.raw.readableEnded && hasBody(request))) reply.header('connection', 'close');
    done();
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    if (!request.raw.readableEnded && hasBody(request)) drain(request);
    httpRequestSeconds.observe(
      { method: request.method, route: request.routeOptions.url ?? 'unknown', status: reply.statusCode },
      reply.elapsedTime / 1000,
    );
    request.log.debug(
      { method: request.method, path: request.url.split('?')[0], status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    );
    done();
  });
};

const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/**
 * Reads the rest of a body that nobody wants for a moment: a client that is still sending would otherwise see a reset instead of the
 * answer.
 */
const drain = ({ raw }: FastifyRequest): void => {
  // Node takes the socket away from a request that is over, whatever its types say.
  const end = setTimeout(() => (raw.socket as Socket | null)?.destroy(), drainMsMax);
  end.unref();
  raw.once('close', () => clearTimeout(end));
  raw.resume();
};

const addOwnRoutes = (fastify: FastifyInstance, health: Health): void => {
  fastify.get('/health/live', (_request, reply: FastifyReply) => reply.send({ status: 'live' }));
  fastify.get('/health/ready', async (_request, reply: FastifyReply) => {
    const [notReady, degraded] = await Promise.all([health.notReady(), health.degraded()]);
    const status = notReady.length === 0 ? 'ready' : 'not ready';
    return reply.code(notReady.length === 0 ? 200 : 503).send({ status, notReady, ...(degraded.length > 0 && { degraded }) });
  });
  fastify.get('/metrics', async (_request, reply: FastifyReply) =>
    reply.header('content-type', registry.contentType).send(await registry.metrics()),
  );
};
