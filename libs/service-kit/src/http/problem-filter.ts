import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { DomainError, type ErrorCode, isDomainError, problemContentType, problemOf } from '@pca/errors';
import type { FastifyReply } from 'fastify';
import type { z, ZodError } from 'zod';
import type { ServiceRequest } from '../auth/require-scope.js';
import { domainErrorOfDatabase } from '../database/postgres-errors.js';
import { errorsTotal } from '../observability/metrics.js';

const codeByStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  429: 'RATE_LIMITED',
  503: 'SERVICE_UNAVAILABLE',
};

const statusOf = (error: unknown): number | undefined => {
  if (error instanceof HttpException) return error.getStatus();
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' ? status : undefined;
};

/** Any thrown value as the error that a caller is told: what is not known becomes INTERNAL_SERVER_ERROR with its cause kept for the log. */
export const domainErrorOf = (error: unknown): DomainError => {
  if (isDomainError(error)) return error;
  const database = domainErrorOfDatabase(error);
  if (database) return database;
  const status = statusOf(error);
  const code = status === undefined ? undefined : codeByStatus[status];
  // Messages of Fastify and Nest about a client's mistake name sizes and headers, nothing of ours.
  if (code && status !== undefined && status < 500) return new DomainError(code, (error as Error).message, {}, { cause: error });
  return new DomainError('INTERNAL_SERVER_ERROR', 'The request failed; the log of the service has the cause.', {}, { cause: error });
};

/** All faults of an input, each with the path it stands at. */
const badInput = (error: ZodError): DomainError => {
  const faults = error.issues.slice(0, 20).map((issue) => ({ path: issue.path.join('.'), message: issue.message }));
  const text = faults.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ');
  return new DomainError('BAD_USER_INPUT', text.slice(0, 1000), { faults });
};

/** An input as its schema makes it; throws BAD_USER_INPUT with every fault, under `name` when the input is an argument of that name. */
export const parseInput = <S extends z.ZodType>(schema: S, input: unknown, name?: string): z.output<S> => {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  if (name) for (const issue of parsed.error.issues) issue.path.unshift(name);
  throw badInput(parsed.error);
};

export const sendProblem = (request: ServiceRequest, reply: FastifyReply, thrown: unknown): void => {
  const error = domainErrorOf(thrown);
  const problem = { ...problemOf(error), instance: request.id };
  errorsTotal.inc({ route: request.routeOptions.url ?? 'unknown', code: error.code });
  if (problem.status >= 500) request.log.error({ err: error.cause ?? error, code: error.code }, 'request failed');
  else request.log.debug({ code: error.code, detail: error.message }, 'request refused');
  if (reply.sent || reply.raw.headersSent) {
    // Half an answer is on its way; ending the connection is the only way left to say that it is not whole.
    reply.raw.destroy();
    return;
  }
  const retryAfter = error.details['retryAfterSeconds'];
  if (typeof retryAfter === 'number') reply.header('retry-after', retryAfter);
  if (error.code === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer');
  void reply.code(problem.status).header('content-type', problemContentType).send(JSON.stringify(problem));
};

@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(thrown: unknown, host: ArgumentsHost): void {
    // GraphQL errors are formatted by the GraphQL server.
    if (host.getType<string>() === 'graphql') throw thrown;
    const http = host.switchToHttp();
    sendProblem(http.getRequest(), http.getResponse(), thrown);
  }
}
