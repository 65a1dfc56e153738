import { Directive, Field, Float, ID, Int, ObjectType } from '@nestjs/graphql';
import { JsonScalar } from './json.scalar.js';
import type { JourneyStep as Step } from './journey.reader.js';
import type { Sighting, User } from './user.reader.js';
import type { UserStats } from './user-stats.reader.js';

@ObjectType('User', { description: 'A person, under whichever ids they came' })
@Directive('@key(fields: "id")')
export class UserType {
  /** Row of the person; not shown. */
  person: number;
  @Field(() => ID, { description: 'Their userId, else the first anonymousId' }) id: string;
  @Field(() => [String], { description: 'Their other ids, at most a thousand' }) aliases: readonly string[];
  @Field(() => JsonScalar, { description: 'An object; of a trait that was said twice, what was said last' }) traits: unknown;
  @Field(() => String, { nullable: true, description: 'Everything received until then is in the answer; null while that is not known' })
  asOf: string | null;
}

export const userTypeOf = (user: User, asOf: string | null): UserType => ({ ...user, asOf });

/** Over REST: the graph's fields without stats, and no row number. */
export const userAnswerOf = ({ person: _person, ...user }: UserType, seen: Sighting | undefined) => ({
  ...user,
  firstSeenAt: instant(seen?.firstSeenAt),
  lastSeenAt: instant(seen?.lastSeenAt),
});

@ObjectType()
class FavouriteFeature {
  @Field() event: string;
  @Field(() => Int) count: number;
}

@ObjectType('UserStats', { description: 'What a person did in all; beginnings and ends of sessions are no events' })
export class UserStatsType {
  @Field(() => Int) events: number;
  @Field(() => Int) sessions: number;
  @Field(() => Int, { description: "Days with an event, in the workspace's time zone" }) activeDays: number;
  @Field(() => Int) pageViews: number;
  @Field(() => Float, { nullable: true, description: 'Null without a session' }) averageSessionSeconds: number | null;
  @Field(() => [FavouriteFeature], { description: 'The five events that they did most, page views apart' })
  favouriteFeatures: readonly FavouriteFeature[];
  @Field(() => String, { nullable: true, description: 'ISO 8601 instant' }) firstSeenAt: string | null;
  @Field(() => String, { nullable: true, description: 'ISO 8601 instant' }) lastSeenAt: string | null;
  @Field(() => String, { nullable: true, description: 'Everything received until then is in the answer; null while that is not known' })
  asOf: string | null;
}

export const userStatsTypeOf = ({ firstSeenAt, lastSeenAt, ...rest }: UserStats, asOf: string | null): UserStatsType => ({
  ...rest,
  firstSeenAt: instant(firstSeenAt),
  lastSeenAt: instant(lastSeenAt),
  asOf,
});

@ObjectType({ description: 'What a person did, once or several times in a row within a session' })
export class JourneyStep {
  @Field({ description: 'ISO 8601 instant' }) at: string;
  @Field({ description: 'ISO 8601 instant of the last repeat' }) lastAt: string;
  @Field({ description: 'The page of a page view, else the event' }) step: string;
  @Field() event: string;
  @Field(() => String, { nullable: true }) page: string | null;
  @Field(() => String, { nullable: true }) resource: string | null;
  @Field(() => Int) count: number;
  @Field(() => ID) sessionId: string;
}

export const journeyStepOf = ({ at, lastAt, ...rest }: Step): JourneyStep => ({
  ...rest,
  at: at.toISOString(),
  lastAt: lastAt.toISOString(),
});

const instant = (date: Date | null | undefined): string | null => date?.toISOString() ?? null;
