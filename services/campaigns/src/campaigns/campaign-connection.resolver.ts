import { Context, Int, Parent, ResolveField, Resolver } from '@nestjs/graphql';
import { callContextOf, type GraphqlContext } from '@pca/service-kit';
import type { CampaignFilter } from './campaign-input.js';
import { CampaignService } from './campaign.service.js';
import { CampaignConnection } from './campaign.types.js';

@Resolver(() => CampaignConnection)
export class CampaignConnectionResolver {
  constructor(private readonly service: CampaignService) {}

  /** A field of its own, so that only who asks for the count pays for it. */
  @ResolveField(() => Int, { description: 'How many there are over all pages; counted only when asked for' })
  totalCount(@Parent() page: CampaignConnection & { countFilter: CampaignFilter }, @Context() context: GraphqlContext): Promise<number> {
    return this.service.count(callContextOf(context.request, 'campaigns:read'), page.countFilter);
  }
}
