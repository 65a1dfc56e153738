import { Field, Float, ID, Int, ObjectType } from '@nestjs/graphql';
import type { Session } from './session.js';

@ObjectType('Session', {
  description:
    'What the client named a session, else what one person did without thirty minutes of silence. Events are those that count: its own beginning and end only bound it',
})
export class SessionType {
  /** Row of the person who began it, not shown; null while that is not stored. */
  person: number | null;
  @Field(() => ID, { description: "The client's name for it, else opaque" }) id: string;
  @Field({ description: 'ISO 8601 instant' }) startedAt: string;
  @Field({ description: 'ISO 8601 instant of its last event so far' }) endedAt: string;
  @Field(() => Float) durationSeconds: number;
  @Field(() => String, { nullable: true, description: 'desktop, mobile, tablet, tv or other' }) device: string | null;
  @Field(() => String, { nullable: true }) browser: string | null;
  @Field(() => String, { nullable: true }) os: string | null;
  @Field(() => String, { nullable: true, description: 'ISO 3166-1 alpha-2' }) country: string | null;
  @Field(() => Int) events: number;
  @Field(() => Int) pageViews: number;
  @Field({ description: 'One page view and nothing else' }) isBounce: boolean;
  @Field(() => String, { nullable: true }) entryPage: string | null;
  @Field(() => String, { nullable: true }) exitPage: string | null;
  @Field(() => String, { nullable: true }) referrerHost: string | null;
  @Field(() => String, { nullable: true, description: 'Of the first event that names a campaign' }) utmCampaign: string | null;
  @Field(() => String, { nullable: true }) utmSource: string | null;
  @Field(() => String, { nullable: true }) utmMedium: string | null;
  @Field(() => String, { nullable: true }) utmTerm: string | null;
  @Field(() => String, { nullable: true }) utmContent: string | null;
  @Field(() => String, { nullable: true, description: 'Everything received until then is in the answer; null while that is not known' })
  asOf: string | null;
}

export const sessionTypeOf = ({ origin, arrival, startedAt, endedAt, ...rest }: Session, asOf: string | null): SessionType => ({
  ...rest,
  startedAt: startedAt.toISOString(),
  endedAt: endedAt.toISOString(),
  device: origin.device ?? null,
  browser: origin.browser ?? null,
  os: origin.os ?? null,
  country: origin.country ?? null,
  referrerHost: origin.referrerHost ?? null,
  utmCampaign: arrival.utmCampaign ?? null,
  utmSource: arrival.utmSource ?? null,
  utmMedium: arrival.utmMedium ?? null,
  utmTerm: arrival.utmTerm ?? null,
  utmContent: arrival.utmContent ?? null,
  asOf,
});

/** Over REST: the graph's fields with the id of its user, and no row number. */
export const sessionAnswerOf = ({ person: _person, ...session }: SessionType, userId: string | null) => ({ ...session, userId });
