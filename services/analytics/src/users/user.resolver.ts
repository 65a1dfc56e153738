import { Args, ArgsType, Context, Field, ID, Int, Parent, Query, ResolveField, Resolver, ResolveReference } from '@nestjs/graphql';
import { callContextOf, type CallContext, CurrentCall, type GraphqlContext, loaderOf, parseInput, RequireScope } from '@pca/service-kit';
import { DateScalar } from '../questions/date.scalar.js';
import { textSchema } from '../questions/limits.js';
import { SessionType } from '../sessions/session.types.js';
import type { Sighting } from './user.reader.js';
import { JourneyStep, UserStatsType, UserType } from './user.types.js';
import { UserService } from './user.service.js';

@ArgsType()
class JourneyArgs {
  @Field(() => DateScalar, { nullable: true }) from?: string | null;
  @Field(() => DateScalar, { nullable: true }) to?: string | null;
  @Field(() => Int, { defaultValue: 100, description: '1 to 1,000' }) limit: number;
  @Field(() => Boolean, { defaultValue: false }) includeBots: boolean;
}

const includeBotsArgument = { type: () => Boolean, defaultValue: false };

@Resolver(() => UserType)
@RequireScope('analytics:read')
export class UserResolver {
  constructor(private readonly service: UserService) {}

  @Query(() => UserType, { nullable: true, description: 'By a userId, else by an anonymousId, whichever they go by now' })
  user(@Args('id', { type: () => ID }) id: string, @Context() context: GraphqlContext): Promise<UserType | null> {
    return this.byId(id, context);
  }

  @Query(() => [UserType], {
    description: 'In the order of their ids. search is looked for in all their ids, their name and email, without case; limit 1 to 200',
  })
  users(
    @CurrentCall() call: CallContext,
    @Args('limit', { type: () => Int, defaultValue: 20 }) limit: number,
    @Args('includeBots', includeBotsArgument) includeBots: boolean,
    @Args('search', { type: () => String, nullable: true }) search?: string | null,
  ): Promise<UserType[]> {
    return this.service.list(call, search, limit, includeBots);
  }

  @ResolveField(() => String, { nullable: true, description: 'ISO 8601 instant; null for who did nothing' })
  async firstSeenAt(@Parent() user: UserType, @Context() context: GraphqlContext): Promise<string | null> {
    return (await this.sighting(user, context))?.firstSeenAt.toISOString() ?? null;
  }

  @ResolveField(() => String, { nullable: true, description: 'ISO 8601 instant; null for who did nothing' })
  async lastSeenAt(@Parent() user: UserType, @Context() context: GraphqlContext): Promise<string | null> {
    return (await this.sighting(user, context))?.lastSeenAt.toISOString() ?? null;
  }

  @ResolveField(() => UserStatsType)
  stats(
    @Parent() user: UserType,
    @Context() context: GraphqlContext,
    @Args('includeBots', includeBotsArgument) includeBots: boolean,
  ): Promise<UserStatsType> {
    const call = callContextOf(context.request, 'analytics:read');
    const name = `stats ${includeBots}`;
    return loaderOf(context, name, (persons: readonly number[]) => this.service.stats(call, persons, includeBots)).load(user.person);
  }

  @ResolveField(() => [SessionType], { description: 'The latest first, each with what they did in it themselves; limit 1 to 200' })
  sessions(
    @Parent() user: UserType,
    @Context() context: GraphqlContext,
    @Args('limit', { type: () => Int, defaultValue: 20 }) limit: number,
    @Args('includeBots', includeBotsArgument) includeBots: boolean,
  ): Promise<SessionType[]> {
    const call = callContextOf(context.request, 'analytics:read');
    const name = `sessions ${limit} ${includeBots}`;
    return loaderOf(context, name, (persons: readonly number[]) => this.service.sessions(call, persons, limit, includeBots)).load(
      user.person,
    );
  }

  @ResolveField(() => [JourneyStep], { description: 'The latest steps of the range, in the order of time; limit 1 to 1,000' })
  journey(@Parent() user: UserType, @Context() context: GraphqlContext, @Args() args: JourneyArgs): Promise<JourneyStep[]> {
    const call = callContextOf(context.request, 'analytics:read');
    const name = `journeys ${JSON.stringify(args)}`;
    return loaderOf(context, name, (persons: readonly number[]) => this.service.journeys(call, persons, args)).load(user.person);
  }

  @ResolveReference()
  reference(reference: { id: string }, context: GraphqlContext): Promise<UserType | null> {
    return this.byId(reference.id, context);
  }

  /** Checked before it is loaded with others, for what is wrong with one id is no fault of theirs. */
  private async byId(id: string, context: GraphqlContext): Promise<UserType | null> {
    const call = callContextOf(context.request, 'analytics:read');
    const wanted = parseInput(textSchema, id, 'id');
    return loaderOf(context, 'users', (ids: readonly string[]) => this.service.byIds(call, ids)).load(wanted);
  }

  private sighting(user: UserType, context: GraphqlContext): Promise<Sighting | undefined> {
    const call = callContextOf(context.request, 'analytics:read');
    return loaderOf(context, 'sightings', (persons: readonly number[]) => this.service.sightings(call, persons)).load(user.person);
  }
}

/** The person of a session, from wherever the session came. */
@Resolver(() => SessionType)
export class SessionUserResolver {
  constructor(private readonly service: UserService) {}

  @ResolveField(() => UserType, { nullable: true, description: 'Who began it' })
  async user(@Parent() { person }: SessionType, @Context() context: GraphqlContext): Promise<UserType | null> {
    const call = callContextOf(context.request, 'analytics:read');
    if (person === null) return null;
    return loaderOf(context, 'persons', (persons: readonly number[]) => this.service.byPersons(call, persons)).load(person);
  }
}
