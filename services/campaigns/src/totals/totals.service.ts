import { Injectable } from '@nestjs/common';
import { decodeAnalyticsId, encodeAnalyticsId } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { type CallContext, parseInput } from '@pca/service-kit';
import { z } from 'zod';
import { currencySchema, dayOrInstantSchema, platformSchema } from '../campaigns/campaign-input.js';
import { resolveRange, spanOf } from '../performance/performance.service.js';
import { addSums, type MetricSums, zeroSums } from '../performance/metrics-sums.js';
import { bucketSeries, type BucketSums, dayIn, isTimeZone } from '../performance/series.js';
import { WorkspaceService } from '../workspaces/workspace.service.js';
import { type PointsBudget, pointsIn } from '../performance/points-budget.js';
import { TotalsStore } from './totals.store.js';

const requestSchema = z.strictObject({
  from: dayOrInstantSchema.optional(),
  to: dayOrInstantSchema.optional(),
  platform: platformSchema.optional(),
  currency: currencySchema.optional(),
  interval: z.enum(['DAY', 'WEEK', 'MONTH']).default('DAY'),
  timeZone: z.string().max(64).refine(isTimeZone, 'must be an IANA time zone, such as Europe/Berlin').optional(),
});

/** The workspace's numbers over a range: arguments as resolved, sums, and their series. */
export interface WorkspaceTotals {
  /** Opaque; holds the resolved arguments, so that another subgraph can answer for the same range. */
  id: string;
  from: string;
  to: string;
  platform: string | null;
  currency: string;
  sums: MetricSums;
  series: BucketSums[];
}

@Injectable()
export class TotalsService {
  constructor(
    private readonly store: TotalsStore,
    private readonly workspaces: WorkspaceService,
  ) {}

  /** Without from and to: all the days there are. Throws BAD_USER_INPUT with `currencies` when sums would mix several. */
  async totals(call: CallContext, input: unknown, budget: PointsBudget): Promise<WorkspaceTotals> {
    const request = parseInput(requestSchema, input);
    const workspace = await this.workspaces.get(call);
    const timeZone = request.timeZone ?? workspace.timeZone;
    const range = resolveRange(request, timeZone);
    const bounds = {
      ...range,
      ...(request.platform && { platform: request.platform }),
      ...(request.currency && { currency: request.currency }),
    };
    const days = await this.store.days(call.workspaceId, bounds);
    const currencies = [...new Set(days.map((day) => day.currency))];
    if (currencies.length > 1) {
      throw new DomainError('BAD_USER_INPUT', `There are amounts in ${currencies.join(', ')}; name the currency to sum`, { currencies });
    }
    const today = dayIn(new Date().toISOString(), timeZone);
    const span = spanOf(days, range) ?? { from: range.from ?? range.to ?? today, to: range.to ?? range.from ?? today };
    budget.take(pointsIn(span, request.interval));
    const currency = request.currency ?? currencies[0] ?? workspace.reportingCurrency;
    const resolved = { ...span, platform: request.platform ?? null, currency, interval: request.interval, timeZone };
    return {
      id: encodeAnalyticsId(resolved),
      ...span,
      platform: resolved.platform,
      currency,
      sums: days.reduce<MetricSums>(addSums, zeroSums),
      series: bucketSeries(days, span, request.interval, workspace.firstDayOfWeek),
    };
  }

  async byId(call: CallContext, id: string, budget: PointsBudget): Promise<WorkspaceTotals> {
    const { platform, ...rest } = decodeAnalyticsId(id);
    return this.totals(call, { ...rest, ...(platform !== null && { platform }) }, budget);
  }
}
