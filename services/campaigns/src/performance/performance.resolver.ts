import {
  Args,
  ArgsType,
  Context,
  Field,
  Float,
  ID,
  InputType,
  Int,
  Mutation,
  ObjectType,
  Parent,
  ResolveField,
  Resolver,
} from '@nestjs/graphql';
import { callContextOf, type CallContext, CurrentCall, type GraphqlContext, loaderOf, RequireScope } from '@pca/service-kit';
import { CampaignType } from '../campaigns/campaign.types.js';
import { DateScalar } from './date.scalar.js';
import { IntervalEnum } from './interval.enum.js';
import { PerformancePoint, pointOf } from './metrics.types.js';
import { PerformanceService } from './performance.service.js';
import { pointsBudgetOf } from './points-budget.js';
import type { BucketSums, Interval } from './series.js';

@InputType({ description: 'A dimension of a row, such as age or country' })
class BreakdownInput {
  @Field() name: string;
  @Field() value: string;
}

@InputType({ description: 'One row of a day; it replaces the row of the same campaign, day and breakdown. What is absent is zero.' })
export class PerformanceInput {
  @Field(() => ID) campaignId: string;
  @Field(() => DateScalar) date: string;
  @Field(() => [BreakdownInput], { nullable: true }) breakdown?: BreakdownInput[];
  @Field(() => Float, { nullable: true }) impressions?: number;
  @Field(() => Float, { nullable: true }) clicks?: number;
  @Field(() => Float, { nullable: true, description: "In units of the campaign's currency" }) spend?: number;
  @Field(() => Float, { nullable: true }) conversions?: number;
  @Field(() => Float, { nullable: true }) conversionValue?: number;
}

@ObjectType()
export class RecordPerformanceResult {
  @Field(() => Int, { description: 'Rows that were taken in' }) recorded: number;
  @Field(() => Int, { description: 'Rows that said something new; a repeat changes none' }) changed: number;
}

@ArgsType()
class SeriesArgs {
  @Field(() => DateScalar, { nullable: true }) from?: string | null;
  @Field(() => DateScalar, { nullable: true }) to?: string | null;
  @Field(() => IntervalEnum, { defaultValue: 'DAY' }) interval: Interval;
}

@Resolver(() => CampaignType)
@RequireScope('campaigns:read')
export class PerformanceResolver {
  constructor(private readonly service: PerformanceService) {}

  @Mutation(() => RecordPerformanceResult, { description: 'Records or restates up to 1,000 rows; all or none' })
  @RequireScope('campaigns:write')
  recordPerformance(
    @CurrentCall() call: CallContext,
    @Args('input', { type: () => [PerformanceInput] }) input: PerformanceInput[],
    @Args('clientMutationId', { type: () => String, nullable: true }) clientMutationId?: string | null,
  ): Promise<RecordPerformanceResult> {
    return this.service.record(call, input, clientMutationId ?? undefined);
  }

  @ResolveField(() => [PerformancePoint], { description: 'Series by day, week or month; without from and to over all its days' })
  async performance(
    @Parent() campaign: CampaignType,
    @Context() context: GraphqlContext,
    @Args() args: SeriesArgs,
  ): Promise<PerformancePoint[]> {
    const request = { from: args.from ?? undefined, to: args.to ?? undefined, interval: args.interval };
    const call = callContextOf(context.request, 'campaigns:read');
    const budget = pointsBudgetOf(context);
    const name = `performance ${JSON.stringify(request)}`;
    const loader = loaderOf<string, BucketSums[]>(context, name, (ids) => this.service.series(call, ids, request, budget));
    const series = await loader.load(campaign.id);
    return series.map(pointOf);
  }
}
