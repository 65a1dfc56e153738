import { Args, Field, ID, InputType, Int, Mutation, ObjectType, Query, registerEnumType, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, RequireScope } from '@pca/service-kit';
import type { IpPolicy } from './workspace.entity.js';
import { WorkspaceService } from './workspace.service.js';

const IpPolicyEnum = { DROP: 'DROP', TRUNCATE: 'TRUNCATE', HASH: 'HASH' } as const;
registerEnumType(IpPolicyEnum, { name: 'IpPolicy', description: 'What is kept of the address of a visitor' });

@ObjectType('Workspace')
export class WorkspaceType {
  @Field(() => ID) id: string;
  @Field() name: string;
  @Field({ description: 'IANA name' }) timeZone: string;
  @Field(() => Int, { description: 'ISO: 1 is Monday' }) firstDayOfWeek: number;
  @Field({ description: 'ISO 4217' }) reportingCurrency: string;
  @Field(() => IpPolicyEnum) ipPolicy: IpPolicy;
}

@InputType({ description: 'What is absent stays' })
class UpdateWorkspaceInput {
  @Field(() => String, { nullable: true }) name?: string;
  @Field(() => String, { nullable: true }) timeZone?: string;
  @Field(() => Int, { nullable: true }) firstDayOfWeek?: number;
  @Field(() => String, { nullable: true }) reportingCurrency?: string;
  @Field(() => IpPolicyEnum, { nullable: true }) ipPolicy?: IpPolicy;
}

@Resolver(() => WorkspaceType)
@RequireScope('campaigns:read')
export class WorkspaceResolver {
  constructor(private readonly service: WorkspaceService) {}

  @Query(() => WorkspaceType, { description: "Settings of the token's workspace" })
  workspace(@CurrentCall() call: CallContext): Promise<WorkspaceType> {
    return this.service.get(call);
  }

  @Mutation(() => WorkspaceType)
  @RequireScope('workspace:admin')
  updateWorkspace(@CurrentCall() call: CallContext, @Args('input') input: UpdateWorkspaceInput): Promise<WorkspaceType> {
    return this.service.update(call, { ...input });
  }
}
