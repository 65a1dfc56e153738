import { Args, ID, Query, Resolver } from '@nestjs/graphql';
import { type CallContext, CurrentCall, parseInput, RequireScope } from '@pca/service-kit';
import { textSchema } from '../questions/limits.js';
import { Freshness } from '../freshness/freshness.service.js';
import { WorkspaceStore } from '../workspaces/workspace.store.js';
import { SessionReader } from './session.reader.js';
import { SessionType, sessionTypeOf } from './session.types.js';

@Resolver(() => SessionType)
@RequireScope('analytics:read')
export class SessionResolver {
  constructor(
    private readonly sessions: SessionReader,
    private readonly workspaces: WorkspaceStore,
    private readonly freshness: Freshness,
  ) {}

  @Query(() => SessionType, { nullable: true, description: 'By the name that the client gave it, or by the id of a list' })
  async session(
    @CurrentCall() call: CallContext,
    @Args('id', { type: () => ID }) id: string,
    @Args('includeBots', { type: () => Boolean, defaultValue: false }) includeBots: boolean,
  ): Promise<SessionType | null> {
    const { number } = await this.workspaces.get(call.workspaceId);
    const asOf = await this.freshness.asOf();
    const session = await this.sessions.byId(number, parseInput(textSchema, id, 'id'), includeBots);
    return session ? sessionTypeOf(session, asOf) : null;
  }
}
