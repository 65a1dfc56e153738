import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { type CallContext, CurrentCall, RequireScope, parseInput } from '@pca/service-kit';
import type { FastifyReply } from 'fastify';
import { listQuerySchema } from './campaign-input.js';
import { CampaignService } from './campaign.service.js';
import { type CampaignType, campaignTypeOf } from './campaign.types.js';

@Controller('v1/campaigns')
@RequireScope('campaigns:read')
export class CampaignController {
  constructor(private readonly service: CampaignService) {}

  @Get()
  async list(@CurrentCall() call: CallContext, @Query() query: Record<string, unknown>): Promise<object> {
    const { first, after, orderBy, ...filter } = parseInput(listQuerySchema, { ...query });
    const page = await this.service.page(call, { filter, orderBy, first, after });
    return {
      campaigns: page.edges.map(({ node }) => campaignTypeOf(node)),
      hasNextPage: page.hasNextPage,
      endCursor: page.edges.at(-1)?.cursor ?? null,
    };
  }

  @Get(':id')
  async find(@CurrentCall() call: CallContext, @Param('id') id: string): Promise<CampaignType> {
    const campaign = await this.service.byId(call, id);
    if (!campaign) throw new DomainError('NOT_FOUND', 'No such campaign in this workspace', { id });
    return campaignTypeOf(campaign);
  }

  @Post()
  @RequireScope('campaigns:write')
  async create(
    @CurrentCall() call: CallContext,
    @Body() body: unknown,
    @Headers('idempotency-key') key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CampaignType> {
    const campaign = await this.service.create(call, body, key);
    void reply.code(201).header('location', `/v1/campaigns/${campaign.id}`);
    return campaignTypeOf(campaign);
  }

  @Patch(':id')
  @RequireScope('campaigns:write')
  async update(
    @CurrentCall() call: CallContext,
    @Param('id') id: string,
    @Body() body: unknown,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<CampaignType> {
    return campaignTypeOf(await this.service.update(call, id, body, key));
  }

  @Delete(':id')
  @HttpCode(204)
  @RequireScope('campaigns:write')
  async delete(@CurrentCall() call: CallContext, @Param('id') id: string): Promise<void> {
    await this.service.delete(call, id);
  }
}
