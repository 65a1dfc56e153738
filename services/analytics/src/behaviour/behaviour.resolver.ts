import { Args, ArgsType, Context, Directive, Field, Parent, ResolveField, Resolver, ResolveReference } from '@nestjs/graphql';
import { callContextOf, type GraphqlContext, loaderOf } from '@pca/service-kit';
import { BehaviourService } from './behaviour.service.js';
import { Analytics, BehaviourTotals, Campaign, CampaignBehaviour } from './behaviour.types.js';
import { DateScalar } from '../questions/date.scalar.js';

/** How shops commonly name that somebody bought something. */
const usualConversions = ['purchase', 'order_completed', 'Order Completed', 'conversion'];

@ArgsType()
class CampaignBehaviourArgs {
  @Field(() => DateScalar, { nullable: true, description: 'Absent: from the first event on' }) from?: string | null;
  @Field(() => DateScalar, { nullable: true, description: 'Inclusive; absent: up to the last event' }) to?: string | null;
  @Field(() => [String], { defaultValue: usualConversions, description: '1 to 50 names of events' }) conversionEvents: string[];
  @Field(() => Boolean, { defaultValue: false }) includeBots: boolean;
}

@Resolver(() => Analytics)
export class BehaviourResolver {
  constructor(private readonly behaviours: BehaviourService) {}

  @ResolveReference()
  reference({ id }: { id: string }): Analytics {
    return { id };
  }

  @ResolveField(() => BehaviourTotals, { nullable: true })
  behaviour(
    @Parent() { id }: Analytics,
    @Context() context: GraphqlContext,
    @Args('includeBots', { type: () => Boolean, defaultValue: false }) includeBots: boolean,
  ): Promise<BehaviourTotals> {
    return this.behaviours.totalsOf(callContextOf(context.request, 'analytics:read'), id, includeBots);
  }
}

@Resolver(() => Campaign)
export class CampaignBehaviourResolver {
  constructor(private readonly behaviours: BehaviourService) {}

  @ResolveReference()
  reference(campaign: Campaign): Campaign {
    return campaign;
  }

  @ResolveField(() => CampaignBehaviour, { nullable: true })
  @Directive('@requires(fields: "name externalId")')
  behaviour(
    @Parent() { id, name, externalId }: Campaign,
    @Context() context: GraphqlContext,
    @Args() args: CampaignBehaviourArgs,
  ): Promise<CampaignBehaviour> {
    const call = callContextOf(context.request, 'analytics:read');
    const question = `campaigns ${JSON.stringify(args)}`;
    const load = (campaigns: readonly Campaign[]): Promise<CampaignBehaviour[]> => this.behaviours.ofCampaigns(call, campaigns, args);
    return loaderOf(context, question, load).load({ id, name, externalId });
  }
}
