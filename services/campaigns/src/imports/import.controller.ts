import type { IncomingMessage } from 'node:http';
import { Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { DomainError, problemOf } from '@pca/errors';
import { type CallContext, CurrentCall, domainErrorOf, RequireScope, type ServiceRequest } from '@pca/service-kit';
import type { FastifyReply } from 'fastify';
import { parseImportOptions } from '../import-file/import-options.js';
import { fileContentTypes } from './accept-files.js';
import type { ImportJob } from './import-job.entity.js';
import { type ImportProgress, ImportService } from './import.service.js';

const ndjson = 'application/x-ndjson';

@Controller('v1/imports')
@RequireScope('campaigns:read')
export class ImportController {
  constructor(private readonly service: ImportService) {}

  /**
   * The body is the file. With `Accept: application/x-ndjson` the answer is a line of progress now and then, and the report or the problem
   * as the last.
   */
  @Post()
  @RequireScope('campaigns:write')
  async create(
    @CurrentCall() call: CallContext,
    @Query() query: Record<string, string>,
    @Req() request: ServiceRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const options = parseImportOptions(query);
    const file = fileOf(request);
    if (!request.headers.accept?.includes(ndjson)) {
      void reply.code(200).send(await this.service.run(call, options, file, () => undefined));
      return;
    }
    reply.hijack();
    // The last line may come before the end of the file, when it is refused; the connection is then of no more use.
    reply.raw.writeHead(200, { 'content-type': ndjson, 'x-request-id': request.id, connection: 'close' });
    const write = (line: object): void => void reply.raw.write(`${JSON.stringify(line)}\n`);
    try {
      const done = await this.service.run(call, options, file, (progress) => write({ type: 'progress', ...shortOf(progress) }));
      write({ type: 'report', ...done });
    } catch (error) {
      const domain = domainErrorOf(error);
      if (domain.code === 'INTERNAL_SERVER_ERROR') request.log.error({ err: domain.cause }, 'import failed');
      write({ type: 'problem', problem: problemOf(domain) });
    }
    reply.raw.end();
  }

  @Get(':id')
  find(@CurrentCall() call: CallContext, @Param('id') id: string): Promise<ImportJob> {
    return this.service.find(call, id);
  }
}

const fileOf = (request: ServiceRequest): IncomingMessage => {
  const body = request.body as IncomingMessage | undefined;
  if (body && typeof body.pipe === 'function') return body;
  throw new DomainError('UNSUPPORTED_MEDIA_TYPE', `The body is the file itself, as one of ${fileContentTypes.join(', ')}`);
};

const shortOf = ({ importId, state, report }: ImportProgress): object => {
  const { bytesRead, rows, rejected, campaignsMerged, campaignsTotal } = report;
  return { importId, state, bytesRead, rows, rejected, campaignsMerged, campaignsTotal };
};
