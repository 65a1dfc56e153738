import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import { boundedLabel, graphqlErrorsTotal, graphqlOperationSeconds, Public, type ServiceRequest } from '@pca/service-kit';
import type { FastifyReply } from 'fastify';
import { readGraphParameters } from './graph-request.js';
import { type GraphAnswer, GraphService } from './graph.service.js';

const operationNamesMax = 200;
const graphResponseType = 'application/graphql-response+json';

@Controller()
export class GraphController {
  private readonly labelOf = boundedLabel(operationNamesMax);

  constructor(
    private readonly graph: GraphService,
    @Inject('requestMsMax') private readonly requestMsMax: number,
  ) {}

  /** The edge has checked the token and the content type; scopes are the services' business. */
  @Post('/graphql')
  @Public()
  async post(@Req() request: ServiceRequest, @Res() reply: FastifyReply): Promise<void> {
    const startMs = performance.now();
    const context = {
      authorization: request.headers.authorization ?? '',
      requestId: request.id,
      deadlineMs: Date.now() + this.requestMsMax,
    };
    const answer = await this.answer(request.body, context);
    this.observe(answer, (performance.now() - startMs) / 1000);
    const type = request.headers.accept?.includes(graphResponseType) ? graphResponseType : 'application/json';
    void reply.code(answer.status).header('content-type', `${type}; charset=utf-8`).send(JSON.stringify(answer.body));
  }

  private async answer(body: unknown, context: Parameters<GraphService['answer']>[1]): Promise<GraphAnswer> {
    try {
      return await this.graph.answer(readGraphParameters(body), context);
    } catch (thrown) {
      const { status, errors } = this.graph.refusal(thrown);
      return { status, body: { errors }, operation: 'anonymous', type: 'unknown' };
    }
  }

  private observe({ operation, type, body }: GraphAnswer, seconds: number): void {
    const label = this.labelOf(operation);
    graphqlOperationSeconds.observe({ operation: label, type }, seconds);
    for (const error of body.errors ?? []) graphqlErrorsTotal.inc({ operation: label, code: String(error.extensions?.['code']) });
  }
}
