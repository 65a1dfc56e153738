import { Args, Field, GraphQLISODateTime, ID, Int, Mutation, ObjectType, Query, registerEnumType, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, RequireScope } from '@pca/service-kit';
import { ErasureService } from './erasure.service.js';
import type { Erasure, ErasureState } from './erasure.store.js';

const ErasureStateEnum = { ERASING: 'ERASING', WAITING_FOR_BUS: 'WAITING_FOR_BUS', DONE: 'DONE' } as const;
registerEnumType(ErasureStateEnum, {
  name: 'ErasureState',
  valuesMap: {
    ERASING: { description: 'Nothing of the person is to be found any more; what is stored of them is being deleted' },
    WAITING_FOR_BUS: {
      description:
        'Their ids, traits, events and sessions are deleted, and the texts that no other event has; the bus still keeps what was sent, which ' +
        'stays out. Texts that events of others have too stay, without a link to anybody: names of events and properties, pages, resources, ' +
        'contexts with their utm parameters. So do digests of the ids',
    },
    DONE: { description: 'The bus has dropped it too. The shared texts and the digests stay' },
  },
});

@ObjectType({ description: 'That somebody is forgotten. It does not say who.' })
export class ErasureRequest {
  @Field(() => ID) id: string;
  @Field(() => ErasureStateEnum) state: ErasureState;
  @Field(() => GraphQLISODateTime) requestedAt: Date;
  @Field(() => String, { nullable: true, description: 'Subject of the token of whoever asked for it' }) requestedBy: string | null;
  @Field(() => GraphQLISODateTime, { nullable: true }) storesCleanAt: Date | null;
  @Field(() => GraphQLISODateTime, { nullable: true }) doneAt: Date | null;
  @Field(() => Int) eventsDeleted: number;
}

@Resolver(() => ErasureRequest)
@RequireScope('workspace:admin')
export class ErasureResolver {
  constructor(private readonly service: ErasureService) {}

  @Query(() => ErasureRequest, { nullable: true })
  erasure(@CurrentCall() call: CallContext, @Args('id', { type: () => ID }) id: string): Promise<Erasure | null> {
    return this.service.find(call, id);
  }

  @Mutation(() => ErasureRequest, {
    description:
      'Forgets the person who has this id, as a user or else as an anonymous one, under all of their ids. A repeat answers with the request that there was.',
  })
  eraseUser(@CurrentCall() call: CallContext, @Args('id', { type: () => ID }) id: string): Promise<Erasure> {
    return this.service.request(call, id);
  }
}
