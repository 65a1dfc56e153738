import { Args, Context, ID, Int, Mutation, Parent, Query, ResolveField, Resolver, ResolveReference } from '@nestjs/graphql';
import { callContextOf, type CallContext, CurrentCall, type GraphqlContext, loaderOf, RequireScope, parseInput } from '@pca/service-kit';
import type { FieldChanges } from '../audit/audit.entity.js';
import { type AuditLine, AuditStore } from '../audit/audit.store.js';
import type { Campaign } from './campaign.js';
import { limitSchema } from './campaign-input.js';
import { CampaignService } from './campaign.service.js';
import {
  CampaignChange,
  CampaignConnection,
  CampaignFilter,
  CampaignOrderInput,
  CampaignType,
  campaignTypeOf,
  CreateCampaignInput,
  UpdateCampaignInput,
} from './campaign.types.js';

@Resolver(() => CampaignType)
@RequireScope('campaigns:read')
export class CampaignResolver {
  constructor(
    private readonly service: CampaignService,
    private readonly audit: AuditStore,
  ) {}

  @Query(() => [CampaignType], { description: 'Campaigns of the workspace, the newest first unless ordered otherwise; limit 1 to 200' })
  async campaigns(
    @CurrentCall() call: CallContext,
    @Args('limit', { type: () => Int, defaultValue: 20 }) limit: number,
    @Args('offset', { type: () => Int, defaultValue: 0 }) offset: number,
    @Args('filter', { type: () => CampaignFilter, nullable: true }) filter?: CampaignFilter,
    @Args('orderBy', { type: () => CampaignOrderInput, nullable: true }) orderBy?: CampaignOrderInput,
  ): Promise<CampaignType[]> {
    const campaigns = await this.service.list(call, { filter, orderBy, limit, offset });
    return campaigns.map(campaignTypeOf);
  }

  @Query(() => CampaignConnection, { description: 'The same list by cursor: a page stays right while campaigns come and go' })
  async campaignsPage(
    @CurrentCall() call: CallContext,
    @Args('first', { type: () => Int, defaultValue: 20 }) first: number,
    @Args('after', { type: () => String, nullable: true }) after?: string | null,
    @Args('filter', { type: () => CampaignFilter, nullable: true }) filter?: CampaignFilter,
    @Args('orderBy', { type: () => CampaignOrderInput, nullable: true }) orderBy?: CampaignOrderInput,
  ): Promise<CampaignConnection & { countFilter: unknown }> {
    const page = await this.service.page(call, { filter, orderBy, first, after });
    const edges = page.edges.map(({ node, cursor }) => ({ node: campaignTypeOf(node), cursor }));
    return { edges, pageInfo: { hasNextPage: page.hasNextPage, endCursor: edges.at(-1)?.cursor ?? null }, countFilter: page.filter };
  }

  @Query(() => CampaignType, { nullable: true })
  async campaign(@CurrentCall() call: CallContext, @Args('id', { type: () => ID }) id: string): Promise<CampaignType | null> {
    const campaign = await this.service.byId(call, id);
    return campaign ? campaignTypeOf(campaign) : null;
  }

  @Mutation(() => CampaignType)
  @RequireScope('campaigns:write')
  async createCampaign(@CurrentCall() call: CallContext, @Args('input') input: CreateCampaignInput): Promise<CampaignType> {
    return campaignTypeOf(await this.service.create(call, { ...input }));
  }

  @Mutation(() => CampaignType)
  @RequireScope('campaigns:write')
  async updateCampaign(
    @CurrentCall() call: CallContext,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: UpdateCampaignInput,
  ): Promise<CampaignType> {
    return campaignTypeOf(await this.service.update(call, id, { ...input }));
  }

  @Mutation(() => Boolean, { description: 'True when it is deleted now, false when it was already' })
  @RequireScope('campaigns:write')
  deleteCampaign(@CurrentCall() call: CallContext, @Args('id', { type: () => ID }) id: string): Promise<boolean> {
    return this.service.delete(call, id);
  }

  @ResolveField(() => [CampaignChange], { description: 'Who changed what, the newest first' })
  async changes(
    @Parent() campaign: CampaignType,
    @Context() context: GraphqlContext,
    @Args('limit', { type: () => Int, defaultValue: 20 }) limit: number,
  ): Promise<CampaignChange[]> {
    const call = callContextOf(context.request, 'campaigns:read');
    const most = parseInput(limitSchema, limit, 'limit');
    const loader = loaderOf<string, AuditLine[]>(context, `changes ${most}`, (ids) => this.audit.list(call, ids, most));
    const entries = await loader.load(campaign.id);
    return entries.map(changeOf);
  }

  @ResolveReference()
  async reference(reference: { id: string }, context: GraphqlContext): Promise<CampaignType | null> {
    const call = callContextOf(context.request, 'campaigns:read');
    const loader = loaderOf<string, Campaign | undefined>(context, 'campaign', (ids) => this.service.byIds(call, ids));
    const campaign = await loader.load(reference.id);
    return campaign ? campaignTypeOf(campaign) : null;
  }
}

const changeOf = (entry: AuditLine): CampaignChange => ({
  id: entry.id,
  action: entry.action,
  actor: entry.actor,
  at: entry.at.toISOString(),
  changes: Object.entries(entry.changes as FieldChanges).map(([field, { before, after }]) => ({
    field,
    before: textOf(before),
    after: textOf(after),
  })),
});

const textOf = (value: unknown): string | null => (value === null || value === undefined ? null : JSON.stringify(value));
