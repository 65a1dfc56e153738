import { DomainError } from '@pca/errors';
import { sendProblem } from '@pca/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Who sends a byte now and then would hold a connection and a buffer for as long as they like. */
export const limitBodyTime = (request: FastifyRequest, reply: FastifyReply, msMax: number): void => {
  const timer = setTimeout(() => {
    reply.header('connection', 'close');
    sendProblem(request, reply, new DomainError('REQUEST_TIMEOUT', 'The body did not arrive in time'));
  }, msMax);
  request.raw.once('close', () => clearTimeout(timer));
};
