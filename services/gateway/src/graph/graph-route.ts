import { boundedLabel, graphqlErrorsTotal, graphqlOperationSeconds, principalOf, sendProblem, type ServiceRequest } from '@pca/service-kit';
import type { FastifyInstance } from 'fastify';
import { visitorHeadersOf } from '../edge/proxy-headers.js';
import type { UsageRecorder } from '../usage/usage-recorder.js';
import { readGraphParameters } from './graph-request.js';
import type { GraphAnswer, GraphService } from './graph.service.js';
import type { GraphContext } from './subgraph-data-source.js';

const operationNamesMax = 200;
const graphResponseType = 'application/graphql-response+json';

/**
 * POST /graphql, as a route of Fastify's own: this is the hot path, and Nest's router would add nothing to it. The edge has checked the
 * token and the content type; scopes are the services' business.
 */
export const routeGraph = (
  fastify: FastifyInstance,
  { graph, usage, requestMsMax }: { graph: GraphService; usage: UsageRecorder | undefined; requestMsMax: number },
): void => {
  const labelOf = boundedLabel(operationNamesMax);
  // Nest sets its handler after this route is made.
  fastify.post(
    '/graphql',
    { errorHandler: (error, request, reply) => sendProblem(request, reply, error) },
    async (request: ServiceRequest, reply) => {
      const startMs = performance.now();
      const context = {
        authorization: request.headers.authorization ?? '',
        requestId: request.id,
        deadlineMs: Date.now() + requestMsMax,
        visitor: visitorHeadersOf(request),
      };
      const answer = await answerOf(graph, request.body, context);
      const { type, status, body } = answer;
      const name = labelOf(answer.operation);
      const seconds = (performance.now() - startMs) / 1000;
      observe(answer, name, seconds);
      const code = body.errors?.[0]?.extensions?.['code'];
      usage?.record({ type, name, principal: principalOf(request), status, code: code === undefined ? undefined : String(code), seconds });
      const mediaType = request.headers.accept?.includes(graphResponseType) ? graphResponseType : 'application/json';
      return reply.code(status).header('content-type', `${mediaType}; charset=utf-8`).send(JSON.stringify(body));
    },
  );
};

const answerOf = async (graph: GraphService, body: unknown, context: GraphContext): Promise<GraphAnswer> => {
  try {
    return await graph.answer(readGraphParameters(body), context);
  } catch (thrown) {
    const { status, errors } = graph.refusal(thrown);
    return { status, body: { errors }, operation: 'anonymous', type: 'unknown' };
  }
};

const observe = ({ type, body }: GraphAnswer, operation: string, seconds: number): void => {
  graphqlOperationSeconds.observe({ operation, type }, seconds);
  for (const error of body.errors ?? []) graphqlErrorsTotal.inc({ operation, code: String(error.extensions?.['code']) });
};
