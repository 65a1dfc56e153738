import { Body, Controller, Get, Headers, HttpCode, Param, Post, Query } from '@nestjs/common';
import { type CallContext, CurrentCall, RequireScope, parseInput } from '@pca/service-kit';
import { z } from 'zod';
import { campaignIdSchema, dayOrInstantSchema } from '../campaigns/campaign-input.js';
import { CampaignService } from '../campaigns/campaign.service.js';
import { TotalsService } from '../totals/totals.service.js';
import { deriveMetrics } from './metrics-sums.js';
import { pointOf, type PerformancePoint } from './metrics.types.js';
import { PointsBudget } from './points-budget.js';
import { PerformanceService, type RecordResult } from './performance.service.js';
import { DomainError } from '@pca/errors';

export const recordBodySchema = z.strictObject({ rows: z.array(z.unknown()) });
export const seriesQuerySchema = z.strictObject({
  from: dayOrInstantSchema.optional(),
  to: dayOrInstantSchema.optional(),
  interval: z.enum(['DAY', 'WEEK', 'MONTH']).default('DAY'),
});

@Controller('v1/campaigns')
@RequireScope('campaigns:read')
export class PerformanceController {
  constructor(
    private readonly campaigns: CampaignService,
    private readonly performance: PerformanceService,
    private readonly totals: TotalsService,
  ) {}

  @Post('performance')
  @HttpCode(200)
  @RequireScope('campaigns:write')
  record(
    @CurrentCall() call: CallContext,
    @Body() body: unknown,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<RecordResult> {
    return this.performance.record(call, parseInput(recordBodySchema, body).rows, key);
  }

  @Get('metrics')
  async metrics(@CurrentCall() call: CallContext, @Query() query: Record<string, string>): Promise<object> {
    const { sums, series, ...rest } = await this.totals.totals(call, { ...query }, new PointsBudget());
    return { ...rest, totals: deriveMetrics(sums), series: series.map(pointOf) };
  }

  @Get(':id/performance')
  async series(
    @CurrentCall() call: CallContext,
    @Param('id') id: string,
    @Query() query: Record<string, string>,
  ): Promise<PerformancePoint[]> {
    const campaign = await this.campaigns.byId(call, parseInput(campaignIdSchema, id, 'id'));
    if (!campaign) throw new DomainError('NOT_FOUND', 'No such campaign in this workspace', { id });
    const [series = []] = await this.performance.series(
      call,
      [campaign.id],
      parseInput(seriesQuerySchema, { ...query }),
      new PointsBudget(),
    );
    return series.map(pointOf);
  }
}
