import { createHash } from 'node:crypto';
import type { Principal } from '@pca/contracts';
import { DomainError, isDomainError } from '@pca/errors';
import { principalOf, type RateLimitStore, type ServiceRequest } from '@pca/service-kit';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { requireJson } from '../graph/graph-request.js';
import type { GraphService } from '../graph/graph.service.js';
import { isIngestRoute } from '../ingest/ingest-route.js';
import { limitBodyTime } from './body-time.js';
import { isLoopbackHost } from './loopback-host.js';

export interface EdgeOptions {
  /** Names that the Host header may hold besides the loopback ones; undefined: any name. */
  hosts: ReadonlySet<string> | undefined;
  headers: Readonly<Record<string, string>>;
  /** Requests of one token. */
  admitted: RateLimitStore;
  /** Requests of one address whose token was refused. */
  refused: RateLimitStore;
  /** Longest time that a body may take to arrive. */
  bodyMsMax: number;
}

/**
 * What every request passes before anything of it is read: security headers, Host, the token's budget, and for GraphQL the token and the
 * content type.
 */
export const guardEdge = (fastify: FastifyInstance, graph: GraphService, options: EdgeOptions): void => {
  const keyOf = tokenKeys();
  fastify.addHook('onRequest', async (request: ServiceRequest, reply) => {
    reply.headers(options.headers);
    if (options.hosts && !isLoopbackHost(request.headers.host, options.hosts))
      throw new DomainError('FORBIDDEN', 'The Host header does not name this machine');
    if (request.url.includes('%00')) throw new DomainError('BAD_USER_INPUT', 'The URL holds a NUL character');
    // What it has there is an ingest key, which the routes of events count by themselves.
    if (isIngestRoute(request.routeOptions.url)) return;
    if (request.principal) await options.admitted.take(keyOf(request.principal, request.headers.authorization ?? ''));
    else if (isRefusedToken(request)) await options.refused.take(request.ip);
    if (request.method !== 'POST' || request.routeOptions.url !== '/graphql') return;
    try {
      requireJson(request.headers['content-type']);
      principalOf(request);
    } catch (error) {
      return refuse(graph, reply, error);
    }
    limitBodyTime(request, reply, options.bodyMsMax);
  });
};

/** Not when the issuer's keys cannot be read: then the token may be good. */
const isRefusedToken = ({ headers, authFailure }: ServiceRequest): boolean =>
  headers.authorization !== undefined && isDomainError(authFailure) && authFailure.code === 'UNAUTHENTICATED';

/** In the shape that GraphQL clients read. */
const refuse = (graph: GraphService, reply: FastifyReply, error: unknown): FastifyReply => {
  const { status, errors } = graph.refusal(error);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).header('content-type', 'application/json; charset=utf-8').send(JSON.stringify({ errors }));
};

/**
 * The verifier gives the same principal for the same token, so that each token is hashed once; what goes to a shared store must not be the
 * token.
 */
const tokenKeys = (): ((principal: Principal, authorization: string) => string) => {
  const keys = new WeakMap<Principal, string>();
  return (principal, authorization) => {
    const known = keys.get(principal);
    if (known) return known;
    const key = createHash('sha256').update(authorization).digest('base64url').slice(0, 22);
    keys.set(principal, key);
    return key;
  };
};
