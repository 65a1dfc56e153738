import { Args, ArgsType, Context, Directive, Field, ID, ObjectType, Query, Resolver, ResolveReference } from '@nestjs/graphql';
import { callContextOf, CurrentCall, type CallContext, type GraphqlContext, RequireScope } from '@pca/service-kit';
import { DateScalar } from '../performance/date.scalar.js';
import { deriveMetrics } from '../performance/metrics-sums.js';
import { MetricTotals, PerformancePoint, pointOf } from '../performance/metrics.types.js';
import { IntervalEnum } from '../performance/interval.enum.js';
import type { Interval } from '../performance/series.js';
import { pointsBudgetOf } from '../performance/points-budget.js';
import { TotalsService, type WorkspaceTotals } from './totals.service.js';

@ObjectType({ description: "A workspace's numbers over a range of days" })
@Directive('@key(fields: "id")')
export class Analytics {
  @Field(() => ID, { description: 'Opaque: holds the resolved arguments' }) id: string;
  @Field(() => DateScalar) from: string;
  @Field(() => DateScalar) to: string;
  @Field(() => String, { nullable: true }) platform: string | null;
  @Field() currency: string;
  @Field(() => MetricTotals) totals: MetricTotals;
  @Field(() => [PerformancePoint]) series: PerformancePoint[];
}

@ArgsType()
class MetricsArgs {
  @Field(() => DateScalar, { nullable: true }) from?: string | null;
  @Field(() => DateScalar, { nullable: true }) to?: string | null;
  @Field(() => String, { nullable: true }) platform?: string | null;
  @Field(() => String, { nullable: true, description: 'ISO 4217; needed when there are amounts in several currencies' }) currency?:
    string | null;
  @Field(() => IntervalEnum, { defaultValue: 'DAY' }) interval: Interval;
  @Field(() => String, { nullable: true, description: "IANA name; the workspace's when absent" }) timeZone?: string | null;
}

const analyticsOf = ({ sums, series, ...rest }: WorkspaceTotals): Analytics => ({
  ...rest,
  totals: deriveMetrics(sums),
  series: series.map(pointOf),
});
const given = (args: object): object => Object.fromEntries(Object.entries(args).filter(([, value]) => value != null));

@Resolver(() => Analytics)
@RequireScope('campaigns:read')
export class TotalsResolver {
  constructor(private readonly service: TotalsService) {}

  @Query(() => Analytics, { description: 'Totals and series of the workspace; one currency at a time' })
  async metrics(@CurrentCall() call: CallContext, @Context() context: GraphqlContext, @Args() args: MetricsArgs): Promise<Analytics> {
    return analyticsOf(await this.service.totals(call, given(args), pointsBudgetOf(context)));
  }

  @ResolveReference()
  async reference(reference: { id: string }, context: GraphqlContext): Promise<Analytics> {
    return analyticsOf(await this.service.byId(callContextOf(context.request, 'campaigns:read'), reference.id, pointsBudgetOf(context)));
  }
}
