import { Controller, Get, Query } from '@nestjs/common';
import { type CallContext, CurrentCall, parseInput, RequireScope } from '@pca/service-kit';
import { z } from 'zod';
import { includeBotsText, rangeTexts } from '../questions/query-texts.js';
import { BehaviourService } from './behaviour.service.js';
import type { BehaviourTotals } from './behaviour.types.js';

const querySchema = z.strictObject({ ...rangeTexts, timeZone: z.string().optional(), includeBots: includeBotsText });

@Controller('v1/analytics/behaviour')
@RequireScope('analytics:read')
export class BehaviourController {
  constructor(private readonly service: BehaviourService) {}

  @Get()
  totals(@CurrentCall() call: CallContext, @Query() query: Record<string, unknown>): Promise<BehaviourTotals> {
    return this.service.totals(call, parseInput(querySchema, { ...query }));
  }
}
