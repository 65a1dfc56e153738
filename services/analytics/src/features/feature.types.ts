import { Field, Float, Int, ObjectType, registerEnumType } from '@nestjs/graphql';

export const FeatureByEnum = { EVENT: 'EVENT', RESOURCE: 'RESOURCE' } as const;
registerEnumType(FeatureByEnum, { name: 'FeatureBy', description: 'What is counted: events by their name, or what they were done to' });

@ObjectType({ isAbstract: true })
class UsageFields {
  @Field(() => Float) count: number;
  @Field(() => Int, { description: 'Persons who did it' }) users: number;
  @Field(() => Int, { description: 'Sessions in which it was done' }) sessions: number;
  @Field(() => String, { nullable: true, description: 'Everything received until then is in the answer; null while that is not known' })
  asOf: string | null;
}

@ObjectType('FeatureUsage', { description: 'How much something is done; beginnings and ends of sessions are no features' })
export class FeatureUsageType extends UsageFields {
  @Field({ description: 'By RESOURCE: the event that is done to it most often' }) event: string;
  @Field(() => String, { nullable: true, description: 'Null by EVENT' }) resource: string | null;
}

@ObjectType('PageUsage', { description: 'How often a page is viewed' })
export class PageUsageType extends UsageFields {
  @Field({ description: 'Path or name' }) page: string;
}
