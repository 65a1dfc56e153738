import { Args, ArgsType, Field, Int, Query, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, parseInput, RequireScope } from '@pca/service-kit';
import { DateScalar } from '../questions/date.scalar.js';
import { limitSchema } from '../questions/limits.js';
import { timeRangeOf } from '../questions/time-range.js';
import { Freshness } from '../freshness/freshness.service.js';
import { WorkspaceStore } from '../workspaces/workspace.store.js';
import { type FeatureBy, FeatureReader } from './feature.reader.js';
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
  constructor(
    private readonly features: FeatureReader,
    private readonly workspaces: WorkspaceStore,
    private readonly freshness: Freshness,
  ) {}

  @Query(() => [FeatureUsageType], { description: 'What is done most, first' })
  async featureUsage(
    @CurrentCall() call: CallContext,
    @Args() args: UsageArgs,
    @Args('by', { type: () => FeatureByEnum, defaultValue: 'EVENT' }) by: FeatureBy,
  ): Promise<FeatureUsageType[]> {
    const { number, range, limit, asOf } = await this.prepare(call, args);
    const features = await this.features.features(number, range, limit, by, args.includeBots);
    return features.map((feature) => ({ ...feature, asOf }));
  }

  @Query(() => [PageUsageType], { description: 'The pages that are viewed most, first' })
  async pageViews(@CurrentCall() call: CallContext, @Args() args: UsageArgs): Promise<PageUsageType[]> {
    const { number, range, limit, asOf } = await this.prepare(call, args);
    const pages = await this.features.pages(number, range, limit, args.includeBots);
    return pages.map((page) => ({ ...page, asOf }));
  }

  private async prepare(call: CallContext, args: UsageArgs) {
    const limit = parseInput(limitSchema, args.limit, 'limit');
    const { number, timeZone } = await this.workspaces.get(call.workspaceId);
    return { number, limit, range: timeRangeOf(args, timeZone), asOf: await this.freshness.asOf() };
  }
}
