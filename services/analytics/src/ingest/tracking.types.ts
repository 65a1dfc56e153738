import { Field, ID, InputType, ObjectType } from '@nestjs/graphql';
import { JsonScalar } from '../users/json.scalar.js';

@InputType({ isAbstract: true })
export class BehaviourInput {
  @Field(() => ID, { nullable: true, description: 'One of userId and anonymousId is needed' }) userId?: string | null;
  @Field(() => ID, { nullable: true }) anonymousId?: string | null;
  @Field(() => String, { nullable: true, description: 'ISO 8601 instant; absent: now' }) timestamp?: string | null;
  @Field(() => JsonScalar, { nullable: true, description: 'An object' }) properties?: unknown;
  @Field(() => JsonScalar, { nullable: true, description: "An object: where it came from, in the words of Segment's spec" })
  context?: unknown;
  @Field(() => String, {
    nullable: true,
    description: "Of the visitor: device, browser and system follow from it. Absent: the header's, when a browser sends",
  })
  userAgent?: string | null;
  @Field(() => String, {
    nullable: true,
    description:
      "Of the visitor: what is kept of it is the workspace's policy, which is nothing unless it says otherwise. Absent: the sender's, when a browser sends",
  })
  ipAddress?: string | null;
}

@InputType()
export class StartSessionInput extends BehaviourInput {
  @Field(() => ID, { nullable: true, description: 'Absent: one is made. A repeat of the same id changes nothing' }) sessionId?:
    string | null;
  @Field(() => String, { nullable: true, description: 'desktop, mobile, tablet or tv; anything else counts as other' })
  device?: string | null;
  @Field(() => String, { nullable: true, description: 'Family, such as Chrome' }) browser?: string | null;
}

@InputType()
export class TrackActionInput extends BehaviourInput {
  @Field(() => ID, { nullable: true, description: 'The messageId: the same within 30 days counts once. Absent: one is made' })
  actionId?: string | null;
  @Field(() => ID, { nullable: true }) sessionId?: string | null;
  @Field({ description: 'What happened: the name of the event' }) actionType: string;
  @Field(() => String, { nullable: true, description: 'What it was done to' }) resource?: string | null;
}

@InputType()
export class TrackPageViewInput extends BehaviourInput {
  @Field(() => ID, { nullable: true, description: 'The messageId: the same within 30 days counts once. Absent: one is made' })
  actionId?: string | null;
  @Field(() => ID, { nullable: true }) sessionId?: string | null;
  @Field({ description: 'Path or name of the page' }) page: string;
  @Field(() => String, { nullable: true }) title?: string | null;
  @Field(() => String, { nullable: true }) url?: string | null;
  @Field(() => String, { nullable: true }) referrer?: string | null;
}

@ObjectType()
export class TrackResult {
  @Field({ description: 'It is stored on the bus; false where the person did not consent, and then it is nowhere' }) accepted: boolean;
  @Field(() => ID) messageId: string;
}
