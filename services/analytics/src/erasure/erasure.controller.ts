import { Body, Controller, Get, HttpCode, Param, Post, Res } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { type CallContext, CurrentCall, parseInput, RequireScope } from '@pca/service-kit';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { ErasureService } from './erasure.service.js';
import type { Erasure } from './erasure.store.js';

const bodySchema = z.strictObject({ userId: z.string() });

@Controller('v1/analytics/erasures')
@RequireScope('workspace:admin')
export class ErasureController {
  constructor(private readonly service: ErasureService) {}

  @Post()
  @HttpCode(202)
  async request(
    @CurrentCall() call: CallContext,
    @Body() body: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Erasure> {
    const erasure = await this.service.request(call, parseInput(bodySchema, body).userId);
    void reply.header('location', `/v1/analytics/erasures/${erasure.id}`);
    return erasure;
  }

  @Get(':id')
  async find(@CurrentCall() call: CallContext, @Param('id') id: string): Promise<Erasure> {
    const erasure = await this.service.find(call, id);
    if (!erasure) throw new DomainError('NOT_FOUND', 'No such erasure in this workspace', { id });
    return erasure;
  }
}
