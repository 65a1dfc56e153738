import { Injectable } from '@nestjs/common';
import { campaignCreated, campaignDeleted, campaignUpdated, makeEvent } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { enqueue } from '@pca/outbox';
import { type CallContext, Database, parseInput, withIdempotency } from '@pca/service-kit';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { AuditStore } from '../audit/audit.store.js';
import { toMicros } from '../performance/metrics-sums.js';
import { resolveRange } from '../performance/performance.service.js';
import { PerformanceStore } from '../performance/performance.store.js';
import { WorkspaceService } from '../workspaces/workspace.service.js';
import type { Campaign } from './campaign.js';
import {
  campaignFilterSchema,
  type CampaignFilter,
  campaignIdSchema,
  createCampaignSchema,
  limitSchema,
  offsetSchema,
  orderSchema,
  updateCampaignSchema,
} from './campaign-input.js';
import { type CampaignOrder, decodeCursor, defaultOrder, encodeCursor } from './campaign-order.js';
import { type CampaignChange, CampaignStore, type NewCampaign } from './campaign.store.js';

export interface CampaignPage {
  edges: { node: Campaign; cursor: string }[];
  hasNextPage: boolean;
  filter: CampaignFilter;
}

/** Filter and order as they come from outside: unchecked. */
export interface RawListing {
  filter?: unknown;
  orderBy?: unknown;
}

@Injectable()
export class CampaignService {
  constructor(
    private readonly database: Database,
    private readonly store: CampaignStore,
    private readonly performance: PerformanceStore,
    private readonly workspaces: WorkspaceService,
    private readonly audit: AuditStore,
  ) {}

  async list(call: CallContext, listing: RawListing & { limit: number; offset: number }): Promise<Campaign[]> {
    const limit = parseInput(limitSchema, listing.limit, 'limit');
    const offset = parseInput(offsetSchema, listing.offset, 'offset');
    const { filter, order } = await this.resolve(call, listing);
    const listed = await this.store.list({ workspaceId: call.workspaceId, filter, order, limit, offset });
    return listed.map(({ campaign }) => campaign);
  }

  async page(call: CallContext, listing: RawListing & { first: number; after?: string | null | undefined }): Promise<CampaignPage> {
    const first = parseInput(limitSchema, listing.first, 'first');
    const { filter, order } = await this.resolve(call, listing);
    const after = listing.after ? decodeCursor(listing.after, order) : undefined;
    // One more than asked for tells whether there is another page.
    const listed = await this.store.list({ workspaceId: call.workspaceId, filter, order, limit: first + 1, ...(after && { after }) });
    const edges = listed
      .slice(0, first)
      .map(({ campaign, orderValue }) => ({ node: campaign, cursor: encodeCursor(order, { value: orderValue, id: campaign.id }) }));
    return { edges, hasNextPage: listed.length > first, filter };
  }

  count(call: CallContext, filter: CampaignFilter): Promise<number> {
    return this.store.count(call.workspaceId, filter);
  }

  async byId(call: CallContext, id: string): Promise<Campaign | undefined> {
    const [campaign] = await this.store.byIds(call.workspaceId, [parseInput(campaignIdSchema, id, 'id')]);
    return campaign;
  }

  /** In the order of `ids`; what is no id of this workspace is undefined. */
  byIds(call: CallContext, ids: readonly string[]): Promise<(Campaign | undefined)[]> {
    return this.store.byIds(
      call.workspaceId,
      ids.map((id) => (campaignIdSchema.safeParse(id).success ? id : '00000000-0000-0000-0000-000000000000')),
    );
  }

  create(call: CallContext, input: unknown, idempotencyKey?: string): Promise<Campaign> {
    const { clientMutationId, ...wanted } = parseInput(createCampaignSchema, input);
    const key = idempotencyKey ?? clientMutationId ?? undefined;
    return this.database.transaction(async (manager) => {
      await this.workspaces.ensure(manager, call);
      return withIdempotency(manager, { workspaceId: call.workspaceId, key, operation: 'createCampaign', request: wanted }, () =>
        this.insert(manager, call, {
          id: uuidv7(),
          workspaceId: call.workspaceId,
          account: '',
          externalId: null,
          name: wanted.name,
          platform: wanted.platform,
          status: wanted.status,
          objective: wanted.objective ?? null,
          vertical: wanted.vertical ?? null,
          currency: wanted.currency,
          dailyBudgetMicros: wanted.dailyBudget == null ? null : toMicros(wanted.dailyBudget),
          startDate: wanted.startDate,
          endDate: wanted.endDate ?? null,
        }),
      );
    });
  }

  /** A new campaign with its audit entry and its event, in the caller's transaction. */
  async insert(manager: EntityManager, call: CallContext, campaign: NewCampaign): Promise<Campaign> {
    const created = await this.store.insert(manager, campaign);
    const changes = Object.fromEntries(Object.entries(snapshotOf(created)).map(([name, after]) => [name, { before: null, after }]));
    await this.audit.add(manager, call, { entityType: 'campaign', entityId: created.id, action: 'created', changes });
    await enqueue(manager, [makeEvent(campaignCreated, { campaign: snapshotOf(created), actor: call.actor }, call)]);
    return created;
  }

  /** Throws CONFLICT with `currentVersion` when somebody else was faster. An update that changes nothing leaves version and bus alone. */
  update(call: CallContext, id: string, input: unknown, idempotencyKey?: string): Promise<Campaign> {
    const { clientMutationId, expectedVersion, dailyBudget, ...rest } = parseInput(updateCampaignSchema, input);
    const campaignId = parseInput(campaignIdSchema, id, 'id');
    const wanted: CampaignChange = {
      ...rest,
      ...(dailyBudget !== undefined && { dailyBudgetMicros: dailyBudget === null ? null : toMicros(dailyBudget) }),
    };
    const key = idempotencyKey ?? clientMutationId ?? undefined;
    const request = { campaignId, expectedVersion, wanted };
    return this.database.transaction((manager) =>
      withIdempotency(manager, { workspaceId: call.workspaceId, key, operation: 'updateCampaign', request }, async () => {
        const before = await this.lockLive(manager, call, campaignId);
        if (before.version !== expectedVersion) {
          throw new DomainError('CONFLICT', `The campaign is at version ${before.version}`, {
            currentVersion: before.version,
            expectedVersion,
          });
        }
        return this.applyChange(manager, call, before, wanted);
      }),
    );
  }

  /** True when it is deleted now, false when it was already. Throws NOT_FOUND when the workspace never had it. */
  delete(call: CallContext, id: string): Promise<boolean> {
    const campaignId = parseInput(campaignIdSchema, id, 'id');
    return this.database.transaction(async (manager) => {
      const found = await this.store.lock(manager, call.workspaceId, campaignId);
      if (!found) throw notFound(campaignId);
      if (found.deleted) return false;
      const { campaign } = found;
      await this.store.markDeleted(manager, campaign.id);
      await this.performance.removeFromTotals(manager, { ...campaign, workspaceId: call.workspaceId });
      await this.audit.add(manager, call, { entityType: 'campaign', entityId: campaign.id, action: 'deleted', changes: {} });
      await enqueue(manager, [
        makeEvent(campaignDeleted, { campaignId: campaign.id, version: campaign.version + 1, actor: call.actor }, call),
      ]);
      return true;
    });
  }

  private async lockLive(manager: EntityManager, call: CallContext, id: string): Promise<Campaign> {
    const found = await this.store.lock(manager, call.workspaceId, id);
    if (!found || found.deleted) throw notFound(id);
    return found.campaign;
  }

  private async applyChange(manager: EntityManager, call: CallContext, before: Campaign, wanted: CampaignChange): Promise<Campaign> {
    const changed = (Object.keys(wanted) as (keyof CampaignChange)[]).filter(
      (name) => wanted[name] !== undefined && wanted[name] !== before[name],
    );
    if (changed.length === 0) return before;
    const after = { ...before, ...wanted };
    if (after.endDate && after.endDate < after.startDate) throw new DomainError('BAD_USER_INPUT', 'endDate: must not lie before startDate');
    const updated = await this.store.update(manager, before.id, Object.fromEntries(changed.map((name) => [name, wanted[name]])));
    const changes = Object.fromEntries(changed.map((name) => [name, { before: before[name], after: updated[name] }]));
    await this.audit.add(manager, call, { entityType: 'campaign', entityId: before.id, action: 'updated', changes });
    await enqueue(manager, [makeEvent(campaignUpdated, { campaign: snapshotOf(updated), changed, actor: call.actor }, call)]);
    return updated;
  }

  private async resolve(call: CallContext, listing: RawListing): Promise<{ filter: CampaignFilter; order: CampaignOrder }> {
    const raw = withoutNulls(listing.filter ?? {});
    const needsZone = [raw['from'], raw['to']].some((value) => typeof value === 'string' && value.includes('T'));
    const timeZone = needsZone ? (await this.workspaces.get(call)).timeZone : 'UTC';
    const range = resolveRange({ from: textOrUndefined(raw['from']), to: textOrUndefined(raw['to']) }, timeZone);
    return {
      filter: parseInput(campaignFilterSchema, { ...raw, ...range }, 'filter'),
      order: listing.orderBy == null ? defaultOrder : parseInput(orderSchema, listing.orderBy, 'orderBy'),
    };
  }
}

const notFound = (id: string): DomainError => new DomainError('NOT_FOUND', 'No such campaign in this workspace', { id });
const withoutNulls = (input: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null && value !== undefined));
const textOrUndefined = (value: unknown): string | undefined =>
  typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : undefined;

/** A campaign as events and the audit show it. */
export const snapshotOf = ({ sums: _sums, createdAt: _createdAt, updatedAt: _updatedAt, ...campaign }: Campaign) => campaign;
