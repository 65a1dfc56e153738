import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Principal, Scope } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { activeTraceparent } from '../observability/tracing.js';
import { principalOf, requestOf, type ServiceRequest } from './require-scope.js';

/** Who does what for which workspace, passed explicitly as the first argument of everything that reads or writes. */
export interface CallContext {
  readonly workspaceId: string;
  /** The token's subject, for the audit. */
  readonly actor: string;
  readonly scopes: Principal['scopes'];
  /** The request's id; every event that follows from it carries it. */
  readonly correlationId: string;
  readonly traceparent: string | null;
}

/** Throws UNAUTHENTICATED when the request has no valid token. */
const contextOf = (request: ServiceRequest): CallContext => {
  const { workspaceId, subject, scopes } = principalOf(request);
  return { workspaceId, actor: subject, scopes, correlationId: request.id, traceparent: activeTraceparent() };
};

/**
 * For reference and field resolvers: Nest runs no guard before them, so they name the scope themselves. Throws UNAUTHENTICATED without a
 * valid token, FORBIDDEN without the scope.
 */
export const callContextOf = (request: ServiceRequest, scope: Scope): CallContext => {
  const call = contextOf(request);
  if (!call.scopes.has(scope)) throw new DomainError('FORBIDDEN', `The token lacks the scope ${scope}`, { scope });
  return call;
};

export const CurrentCall = createParamDecorator((_data: unknown, context: ExecutionContext) => contextOf(requestOf(context)));
