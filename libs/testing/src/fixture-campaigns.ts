import type { Type } from '@nestjs/common';
import {
  Args,
  Directive,
  Field,
  Float,
  ID,
  Int,
  Mutation,
  ObjectType,
  Query,
  ResolveField,
  ResolveReference,
  Resolver,
} from '@nestjs/graphql';
import { DomainError } from '@pca/errors';
import { RequireScope } from '@pca/service-kit';

@ObjectType('Campaign')
@Directive('@key(fields: "id")')
export class FixtureCampaign {
  @Field(() => ID) id: string;
  @Field() name: string;
  @Field() platform: string;
  @Field(() => Float) spend: number;
  @Field(() => Int) clicks: number;
}

const campaignsMax = 200;
const platforms = ['Google', 'Meta', 'TikTok'];
const campaignOf = (number: number): FixtureCampaign => ({
  id: `c${number}`,
  name: `Campaign ${number}`,
  platform: platforms[number % platforms.length] as string,
  spend: number * 10.5,
  clicks: number * 3,
});

/** Owner of Campaign: two hundred of them, one mutation, and fields that fail in the ways a service may. */
export const campaignsFixture = (): Type => {
  const campaigns = new Map(
    Array.from({ length: campaignsMax }, (_, index) => campaignOf(index + 1)).map((campaign) => [campaign.id, campaign]),
  );

  @Resolver(() => FixtureCampaign)
  @RequireScope('campaigns:read')
  class CampaignsFixtureResolver {
    @Query(() => [FixtureCampaign])
    campaigns(
      @Args('limit', { type: () => Int, defaultValue: 20 }) limit: number,
      @Args('platform', { nullable: true }) platform?: string,
    ): FixtureCampaign[] {
      return [...campaigns.values()].filter((campaign) => !platform || campaign.platform === platform).slice(0, limit);
    }

    @Query(() => FixtureCampaign, { nullable: true })
    campaign(@Args('id', { type: () => ID }) id: string): FixtureCampaign | undefined {
      return campaigns.get(id);
    }

    @Query(() => [FixtureCampaign])
    campaignsByIds(@Args('ids', { type: () => [ID] }) ids: string[]): FixtureCampaign[] {
      return ids.flatMap((id) => campaigns.get(id) ?? []);
    }

    @Query(() => Int, { nullable: true })
    leaking(): number {
      throw new Error('select secret from accounts at /srv/app/store.ts:12 http://10.0.0.7:8101');
    }

    @Query(() => Int, { nullable: true })
    conflicting(): number {
      throw new DomainError('CONFLICT', 'The campaign has changed', { currentVersion: 7 });
    }

    @Mutation(() => FixtureCampaign)
    @RequireScope('campaigns:write')
    renameCampaign(@Args('id', { type: () => ID }) id: string, @Args('name') name: string): FixtureCampaign {
      const campaign = campaigns.get(id);
      if (!campaign) throw new DomainError('NOT_FOUND', 'There is no such campaign');
      campaign.name = name;
      return campaign;
    }

    /** Only to be nested in queries that are too deep. */
    @ResolveField(() => [FixtureCampaign])
    similar(@Args('limit', { type: () => Int, defaultValue: 3 }) limit: number): FixtureCampaign[] {
      return [...campaigns.values()].slice(0, limit);
    }

    @ResolveReference()
    reference({ id }: { id: string }): FixtureCampaign | undefined {
      return campaigns.get(id);
    }
  }
  return CampaignsFixtureResolver;
};
