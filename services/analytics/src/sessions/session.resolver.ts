import { Args, ID, Query, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, RequireScope } from '@pca/service-kit';
import { SessionService } from './session.service.js';
import { SessionType } from './session.types.js';

@Resolver(() => SessionType)
@RequireScope('analytics:read')
export class SessionResolver {
  constructor(private readonly service: SessionService) {}

  @Query(() => SessionType, { nullable: true, description: 'By the name that the client gave it, or by the id of a list' })
  session(
    @CurrentCall() call: CallContext,
    @Args('id', { type: () => ID }) id: string,
    @Args('includeBots', { type: () => Boolean, defaultValue: false }) includeBots: boolean,
  ): Promise<SessionType | null> {
    return this.service.byId(call, id, includeBots);
  }
}
