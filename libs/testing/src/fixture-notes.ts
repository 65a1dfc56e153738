import type { Type } from '@nestjs/common';
import {
  Args,
  Context,
  Directive,
  Field,
  ID,
  Int,
  ObjectType,
  Parent,
  Query,
  ResolveField,
  ResolveReference,
  Resolver,
} from '@nestjs/graphql';
import { type GraphqlContext, loaderOf, RequireScope } from '@pca/service-kit';

@ObjectType('Note')
class FixtureNote {
  @Field(() => ID) id: string;
  @Field() text: string;
}

@ObjectType('Campaign')
@Directive('@key(fields: "id")')
export class FixtureCampaignStub {
  @Field(() => ID) id: string;
}

const notesOf = (campaignId: string): FixtureNote[] =>
  [1, 2, 3].map((number) => ({ id: `${campaignId}-n${number}`, text: `Note ${number} of ${campaignId}` }));

/** Adds notes to the Campaign of another subgraph, loaded in batches; `batches` counts the keys of each. */
export const notesFixture = (controls: { batches: number[] }): Type => {
  const load = (keys: readonly string[]): Promise<FixtureNote[][]> => {
    controls.batches.push(keys.length);
    return Promise.resolve(keys.map(notesOf));
  };

  @Resolver(() => FixtureCampaignStub)
  @RequireScope('campaigns:read')
  class NotesFixtureResolver {
    @ResolveReference()
    reference({ id }: { id: string }): FixtureCampaignStub {
      return { id };
    }

    // Nullable, so that a campaign outlives its notes when this subgraph is down.
    @ResolveField(() => [FixtureNote], { nullable: true })
    async notes(
      @Parent() { id }: FixtureCampaignStub,
      @Context() context: GraphqlContext,
      @Args('limit', { type: () => Int, defaultValue: 3 }) limit: number,
    ): Promise<FixtureNote[]> {
      return (await loaderOf(context, 'notes', load).load(id)).slice(0, limit);
    }

    @ResolveField(() => Int, { nullable: true })
    async noteCount(@Parent() { id }: FixtureCampaignStub, @Context() context: GraphqlContext): Promise<number> {
      return (await loaderOf(context, 'notes', load).load(id)).length;
    }

    @Query(() => [FixtureNote], { nullable: true })
    recentNotes(@Args('limit', { type: () => Int, defaultValue: 3 }) limit: number): FixtureNote[] {
      return notesOf('c1').slice(0, limit);
    }
  }
  return NotesFixtureResolver;
};
