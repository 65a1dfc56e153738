import { Args, ArgsType, Field, Int, Query, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, RequireScope } from '@pca/service-kit';
import { DateScalar } from '../questions/date.scalar.js';
import type { FeatureBy } from './feature.reader.js';
import { FeatureService } from './feature.service.js';
import { FeatureByEnum, FeatureUsageType, PageUsageType } from './feature.types.js';

@ArgsType()
class UsageArgs {
  @Field(() => DateScalar, { nullable: true, description: 'Absent: from the first event on' }) from?: string | null;
  @Field(() => DateScalar, { nullable: true, description: 'Inclusive; absent: up to the last event' }) to?: string | null;
  @Field(() => Int, { defaultValue: 20, description: '1 to 200' }) limit: number;
  @Field(() => Boolean, { defaultValue: false }) includeBots: boolean;
}

@Resolver()
@RequireScope('analytics:read')
export class FeatureResolver {
  constructor(private readonly service: FeatureService) {}

  @Query(() => [FeatureUsageType], { description: 'What is done most, first' })
  featureUsage(
    @CurrentCall() call: CallContext,
    @Args() args: UsageArgs,
    @Args('by', { type: () => FeatureByEnum, defaultValue: 'EVENT' }) by: FeatureBy,
  ): Promise<FeatureUsageType[]> {
    return this.service.featureUsage(call, args, by);
  }

  @Query(() => [PageUsageType], { description: 'The pages that are viewed most, first' })
  pageViews(@CurrentCall() call: CallContext, @Args() args: UsageArgs): Promise<PageUsageType[]> {
    return this.service.pageViews(call, args);
  }
}
