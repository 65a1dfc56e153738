import { Directive, Field, Float, ID, Int, ObjectType } from '@nestjs/graphql';

const asOf = 'Everything received until then is in the answer; null while that is not known';

@ObjectType({ description: 'What people did over a range of days, on all platforms. Sessions count on the day they began' })
export class BehaviourTotals {
  @Field(() => Int, { description: 'Persons who did anything' }) activeUsers: number;
  @Field(() => Int) sessions: number;
  @Field(() => Float, { description: 'Beginnings and ends of sessions are no events' }) events: number;
  @Field(() => Float) pageViews: number;
  @Field(() => Float, { nullable: true, description: 'Sessions with one page view and nothing else, a fraction; null without a session' })
  bounceRate: number | null;
  @Field(() => Float, { nullable: true }) averageSessionSeconds: number | null;
  @Field(() => String, { nullable: true, description: asOf }) asOf: string | null;
}

@ObjectType({ description: "A workspace's numbers over a range of days" })
@Directive('@key(fields: "id")')
export class Analytics {
  @Field(() => ID, { description: 'Opaque: holds the resolved arguments' }) id: string;
}

@ObjectType({
  description:
    "What came of a campaign on the site: the sessions whose first utm_campaign is its id, its platform's id or its name, without case",
})
export class CampaignBehaviour {
  @Field(() => Int) sessions: number;
  @Field(() => Int, { description: 'Persons who began them' }) users: number;
  @Field(() => Float, { description: 'Events in them that are conversions' }) conversions: number;
  @Field(() => Float, { nullable: true, description: 'Sessions with one page view and nothing else, a fraction; null without a session' })
  bounceRate: number | null;
  @Field(() => Float, { nullable: true }) averageSessionSeconds: number | null;
  @Field(() => String, { nullable: true, description: asOf }) asOf: string | null;
}

/** The campaign of another subgraph, as far as it is needed to find its sessions. */
@ObjectType()
@Directive('@key(fields: "id")')
export class Campaign {
  @Field(() => ID) id: string;
  @Field() @Directive('@external') name: string;
  @Field(() => String, { nullable: true }) @Directive('@external') externalId: string | null;
}
