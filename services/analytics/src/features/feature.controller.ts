import { Controller, Get, Query } from '@nestjs/common';
import { type CallContext, CurrentCall, parseInput, RequireScope } from '@pca/service-kit';
import { z } from 'zod';
import { Freshness } from '../freshness/freshness.service.js';
import { includeBotsText, limitText, rangeTexts } from '../questions/query-texts.js';
import { FeatureService } from './feature.service.js';
import { FeatureByEnum } from './feature.types.js';

const pagesQuerySchema = z.strictObject({ ...rangeTexts, limit: limitText, includeBots: includeBotsText });
const featuresQuerySchema = pagesQuerySchema.extend({ by: z.enum(FeatureByEnum).default('EVENT') });

@Controller('v1/analytics')
@RequireScope('analytics:read')
export class FeatureController {
  constructor(
    private readonly service: FeatureService,
    private readonly freshness: Freshness,
  ) {}

  @Get('feature-usage')
  async featureUsage(@CurrentCall() call: CallContext, @Query() query: Record<string, unknown>): Promise<object> {
    const { by, ...question } = parseInput(featuresQuerySchema, { ...query });
    const asOf = await this.freshness.asOf();
    return { featureUsage: await this.service.featureUsage(call, question, by), asOf };
  }

  @Get('page-views')
  async pageViews(@CurrentCall() call: CallContext, @Query() query: Record<string, unknown>): Promise<object> {
    const question = parseInput(pagesQuerySchema, { ...query });
    const asOf = await this.freshness.asOf();
    return { pageViews: await this.service.pageViews(call, question), asOf };
  }
}
