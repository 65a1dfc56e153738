import { Args, Context, ID, Mutation, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, type GraphqlContext, RequireScope } from '@pca/service-kit';
import { SessionType } from '../sessions/session.types.js';
import { TrackingService } from './tracking.service.js';
import { StartSessionInput, TrackActionInput, TrackPageViewInput, TrackResult } from './tracking.types.js';
import { visitorOf } from './visitor.js';

@Resolver()
@RequireScope('analytics:write')
export class TrackingResolver {
  constructor(private readonly service: TrackingService) {}

  @Mutation(() => SessionType, {
    description: 'Answers with what follows from the beginning; its user and events are there when they are stored',
  })
  startSession(
    @CurrentCall() call: CallContext,
    @Context() { request }: GraphqlContext,
    @Args('input') input: StartSessionInput,
  ): Promise<SessionType> {
    return this.service.startSession(call, visitorOf(request), input);
  }

  @Mutation(() => SessionType, { description: 'By the name that the client gave it; a repeat changes nothing' })
  endSession(@CurrentCall() call: CallContext, @Args('id', { type: () => ID }) id: string): Promise<SessionType> {
    return this.service.endSession(call, id);
  }

  @Mutation(() => TrackResult)
  trackAction(
    @CurrentCall() call: CallContext,
    @Context() { request }: GraphqlContext,
    @Args('input') input: TrackActionInput,
  ): Promise<TrackResult> {
    return this.service.trackAction(call, visitorOf(request), input);
  }

  @Mutation(() => TrackResult)
  trackPageView(
    @CurrentCall() call: CallContext,
    @Context() { request }: GraphqlContext,
    @Args('input') input: TrackPageViewInput,
  ): Promise<TrackResult> {
    return this.service.trackPageView(call, visitorOf(request), input);
  }
}
