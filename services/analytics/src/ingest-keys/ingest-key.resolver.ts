import { Args, ID, Int, Mutation, Query, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, RequireScope } from '@pca/service-kit';
import { IngestKeyService } from './ingest-key.service.js';
import { CreateIngestKeyInput, IngestKeyType, ingestKeyTypeOf, MadeIngestKeyType, madeTypeOf } from './ingest-key.types.js';

@Resolver(() => IngestKeyType)
@RequireScope('workspace:admin')
export class IngestKeyResolver {
  constructor(private readonly service: IngestKeyService) {}

  @Query(() => [IngestKeyType], { description: 'Keys of the workspace, with those that have ended, the newest first; at most 1,000' })
  async ingestKeys(@CurrentCall() call: CallContext): Promise<IngestKeyType[]> {
    return (await this.service.list(call)).map(ingestKeyTypeOf);
  }

  @Mutation(() => MadeIngestKeyType)
  async createIngestKey(@CurrentCall() call: CallContext, @Args('input') input: CreateIngestKeyInput): Promise<MadeIngestKeyType> {
    return madeTypeOf(await this.service.create(call, input));
  }

  @Mutation(() => MadeIngestKeyType, { description: 'A new key in the place of one, which stays good for the overlap: 0 to 720 hours' })
  async rotateIngestKey(
    @CurrentCall() call: CallContext,
    @Args('id', { type: () => ID }) id: string,
    @Args('overlapHours', { type: () => Int, defaultValue: 24 }) overlapHours: number,
  ): Promise<MadeIngestKeyType> {
    return madeTypeOf(await this.service.rotate(call, id, overlapHours));
  }

  @Mutation(() => IngestKeyType, { description: 'It opens nothing any more, everywhere within ten seconds' })
  async revokeIngestKey(@CurrentCall() call: CallContext, @Args('id', { type: () => ID }) id: string): Promise<IngestKeyType> {
    return ingestKeyTypeOf(await this.service.revoke(call, id));
  }
}
