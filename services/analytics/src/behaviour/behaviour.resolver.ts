import { Context, Directive, Field, ID, Int, ObjectType, Parent, ResolveField, Resolver, ResolveReference } from '@nestjs/graphql';
import { callContextOf, Database, type GraphqlContext } from '@pca/service-kit';
import { WorkspaceStore } from '../workspaces/workspace.store.js';

@ObjectType({ description: 'What people did over a range of days' })
export class BehaviourTotals {
  @Field(() => Int) events: number;
}

@ObjectType({ description: "A workspace's numbers over a range of days" })
@Directive('@key(fields: "id")')
export class Analytics {
  @Field(() => ID, { description: 'Opaque: holds the resolved arguments' }) id: string;
}

@Resolver(() => Analytics)
export class BehaviourResolver {
  constructor(
    private readonly database: Database,
    private readonly workspaces: WorkspaceStore,
  ) {}

  @ResolveReference()
  reference(reference: { id: string }): Analytics {
    return { id: reference.id };
  }

  @ResolveField(() => BehaviourTotals, { nullable: true })
  async behaviour(@Parent() _analytics: Analytics, @Context() context: GraphqlContext): Promise<BehaviourTotals> {
    const { workspaceId } = callContextOf(context.request, 'analytics:read');
    const { number } = await this.workspaces.get(workspaceId);
    const { rows } = await this.database.pool.query<{ events: number }>('select count(*)::int as events from event where workspace = $1', [
      number,
    ]);
    return { events: rows[0]?.events ?? 0 };
  }
}
