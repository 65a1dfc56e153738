import { Args, Int, Mutation, Query, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, RequireScope } from '@pca/service-kit';
import { RetentionService } from './retention.service.js';

@Resolver()
@RequireScope('analytics:read')
export class RetentionResolver {
  constructor(private readonly service: RetentionService) {}

  @Query(() => Int, { description: 'Days for which behaviour events are kept' })
  behaviourRetention(@CurrentCall() call: CallContext): Promise<number> {
    return this.service.get(call);
  }

  @Mutation(() => Int, {
    description: 'Keeps behaviour events for so many days, 1 to 3650; older ones are deleted within minutes, for good',
  })
  @RequireScope('workspace:admin')
  setBehaviourRetention(@CurrentCall() call: CallContext, @Args('days', { type: () => Int }) days: number): Promise<number> {
    return this.service.set(call, days);
  }
}
