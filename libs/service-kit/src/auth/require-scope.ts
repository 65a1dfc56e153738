import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { GqlExecutionContext } from '@nestjs/graphql';
import type { Principal, Scope } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import type { FastifyRequest } from 'fastify';

declare module 'fastify' {
  export interface FastifyContextConfig {
    /** The route checks for itself who is calling, by something other than a bearer token of the issuer: none is looked for. */
    ownAuthentication?: boolean;
  }
}

/** The request as service-kit prepares it. `principal` is there only when the token was valid. */
export type ServiceRequest = FastifyRequest & { principal?: Principal; authFailure?: unknown };

export interface GraphqlContext {
  readonly request: ServiceRequest;
  /** DataLoaders of this request by name: batching never crosses requests, so neither does data. */
  readonly loaders: Map<string, unknown>;
}

const scopeKey = 'pca:scope';
const publicKey = 'pca:public';

/** What the token must allow; a handler without this mark (and without `Public`) is refused, so that nothing is open by oversight. */
export const RequireScope = (scope: Scope): MethodDecorator & ClassDecorator => SetMetadata(scopeKey, scope);
export const Public = (): MethodDecorator & ClassDecorator => SetMetadata(publicKey, true);

export const requestOf = (context: ExecutionContext): ServiceRequest =>
  context.getType<string>() === 'graphql'
    ? GqlExecutionContext.create(context).getContext<GraphqlContext>().request
    : context.switchToHttp().getRequest<ServiceRequest>();

/** Throws UNAUTHENTICATED, with the reason the token was refused for, when the caller is nobody. */
export const principalOf = (request: ServiceRequest): Principal => {
  if (request.principal) return request.principal;
  throw (request.authFailure as Error | undefined) ?? new DomainError('UNAUTHENTICATED', 'A bearer token is required');
};

@Injectable()
export class ScopeGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean>(publicKey, targets)) return true;
    const scope = this.reflector.getAllAndOverride<Scope | undefined>(scopeKey, targets);
    const principal = principalOf(requestOf(context));
    if (!scope) throw new DomainError('FORBIDDEN', 'This operation is open to nobody');
    if (!principal.scopes.has(scope)) throw new DomainError('FORBIDDEN', `The token lacks the scope ${scope}`, { scope });
    return true;
  }
}
