import { Args, Field, ID, InputType, Int, Mutation, ObjectType, Query, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, RequireScope } from '@pca/service-kit';
import { IngestKeyService, type MadeIngestKey } from './ingest-key.service.js';
import type { IngestKey } from './ingest-key.store.js';

@ObjectType('IngestKey', { description: 'A key with which programs send behaviour events, and which opens nothing else' })
export class IngestKeyType {
  @Field(() => ID) id: string;
  @Field() name: string;
  @Field({ description: 'Its first characters, by which people tell keys apart' }) prefix: string;
  @Field({ description: 'Subject of the token that made it' }) createdBy: string;
  @Field({ description: 'ISO 8601 instant' }) createdAt: string;
  @Field(() => String, { nullable: true, description: 'ISO 8601 instant; from then on another key stands in its place' })
  expiresAt: string | null;
  @Field(() => String, { nullable: true, description: 'ISO 8601 instant' }) revokedAt: string | null;
}

@ObjectType('MadeIngestKey')
export class MadeIngestKeyType {
  @Field({ description: 'The key itself: it is shown this once and kept nowhere' }) key: string;
  @Field(() => IngestKeyType) ingestKey: IngestKeyType;
}

@InputType()
class CreateIngestKeyInput {
  @Field({ description: 'What people call it: 1 to 256 characters' }) name: string;
}

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

const ingestKeyTypeOf = ({ createdAt, expiresAt, revokedAt, ...key }: IngestKey): IngestKeyType => ({
  ...key,
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt?.toISOString() ?? null,
  revokedAt: revokedAt?.toISOString() ?? null,
});

const madeTypeOf = ({ key, ingestKey }: MadeIngestKey): MadeIngestKeyType => ({ key, ingestKey: ingestKeyTypeOf(ingestKey) });
