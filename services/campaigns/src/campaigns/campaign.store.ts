import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import type { EntityManager } from 'typeorm';
import { type MetricSums, sumColumns, sumsOfRow, type SumsRow, zeroSums } from '../performance/metrics-sums.js';
import { type Campaign, campaignColumns, campaignOfRow, type CampaignRow } from './campaign.js';
import type { CampaignFilter } from './campaign-input.js';
import {
  countStatement,
  listStatement,
  type ListRequest,
  needsRangeSums,
  probeStatement,
  seesAll,
  type Statement,
  withoutRange,
} from './campaign-query.js';

export interface ListedCampaign {
  campaign: Campaign;
  /** The order's value as Postgres prints it, for a cursor. */
  orderValue: string;
}

export type NewCampaign = Omit<Campaign, 'createdAt' | 'updatedAt' | 'version' | 'sums'> & { workspaceId: string; account: string };
export type CampaignChange = Partial<
  Pick<Campaign, 'name' | 'status' | 'objective' | 'vertical' | 'dailyBudgetMicros' | 'startDate' | 'endDate'>
>;

const sumsOfRowSql = 'c.impressions, c.clicks, c.spend_micros, c.conversions_micros, c.conversion_value_micros';
const columnOf: Readonly<Record<keyof CampaignChange, string>> = {
  name: 'name',
  status: 'status',
  objective: 'objective',
  vertical: 'vertical',
  dailyBudgetMicros: 'daily_budget_micros',
  startDate: 'start_date',
  endDate: 'end_date',
};

@Injectable()
export class CampaignStore {
  constructor(private readonly database: Database) {}

  async list(request: ListRequest): Promise<ListedCampaign[]> {
    const { from, to } = request.filter;
    if ((!from && !to) || needsRangeSums(request)) return this.page(request);
    // The page first and its sums then: otherwise the days of all campaigns would be added up to show some of them.
    const listed = await this.page({ ...request, filter: withoutRange(request.filter) });
    const sums = await this.rangeSums(
      listed.map(({ campaign }) => campaign.id),
      from,
      to,
    );
    return listed.map(({ campaign, orderValue }) => ({ campaign: { ...campaign, sums: sums.get(campaign.id) ?? zeroSums }, orderValue }));
  }

  private async rangeSums(ids: readonly string[], from: string | undefined, to: string | undefined): Promise<Map<string, MetricSums>> {
    const { rows } = await this.database.pool.query<SumsRow & { campaign_id: string }>(
      `select campaign_id, ${sumColumns.map((column) => `sum(${column})::bigint as ${column}`).join(', ')} from performance
       where campaign_id = any($1::uuid[]) and ($2::date is null or date >= $2::date) and ($3::date is null or date <= $3::date)
       group by campaign_id`,
      [ids, from ?? null, to ?? null],
    );
    return new Map(rows.map((row) => [row.campaign_id, sumsOfRow(row)]));
  }

  private async page(request: ListRequest): Promise<ListedCampaign[]> {
    const probe = probeStatement(request);
    const probed = probe ? await this.rows(probe) : [];
    // A full page is the page; a shorter one may be all there are, or all that the probe came to see.
    const rows = probed.length === request.limit || seesAll(request) ? probed : await this.rows(listStatement(request));
    return rows.map((row) => ({ campaign: campaignOfRow(row), orderValue: row.order_value }));
  }

  private async rows({ text, values }: Statement): Promise<(CampaignRow & { order_value: string })[]> {
    const { rows } = await this.database.pool.query<CampaignRow & { order_value: string }>(text, values);
    return rows;
  }

  async count(workspaceId: string, filter: CampaignFilter): Promise<number> {
    const { text, values } = countStatement(workspaceId, filter);
    const { rows } = await this.database.pool.query<{ n: number }>(text, values);
    return rows[0]?.n ?? 0;
  }

  /** In the order of `ids`; undefined where the workspace has no such campaign. */
  async byIds(workspaceId: string, ids: readonly string[]): Promise<(Campaign | undefined)[]> {
    const { rows } = await this.database.pool.query<CampaignRow>(
      `select ${campaignColumns}, ${sumsOfRowSql} from campaign c where c.id = any($1::uuid[]) and c.workspace_id = $2 and c.deleted_at is null`,
      [ids, workspaceId],
    );
    const byId = new Map(rows.map((row) => [row.id, campaignOfRow(row)]));
    return ids.map((id) => byId.get(id.toLowerCase()));
  }

  /** Locks the row until the transaction ends. `deleted` tells a campaign that is gone from one that never was. */
  async lock(manager: EntityManager, workspaceId: string, id: string): Promise<{ campaign: Campaign; deleted: boolean } | undefined> {
    const rows = await manager.query<(CampaignRow & { deleted_at: Date | null })[]>(
      `select ${campaignColumns}, ${sumsOfRowSql}, c.deleted_at from campaign c where c.id = $1 and c.workspace_id = $2 for update`,
      [id, workspaceId],
    );
    return rows[0] && { campaign: campaignOfRow(rows[0]), deleted: rows[0].deleted_at !== null };
  }

  async insert(manager: EntityManager, campaign: NewCampaign): Promise<Campaign> {
    const rows = await manager.query<CampaignRow[]>(
      `insert into campaign as c (id, workspace_id, external_id, account, name, platform, status, objective, vertical, currency, daily_budget_micros, start_date, end_date)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) returning ${campaignColumns}, ${sumsOfRowSql}`,
      [
        campaign.id,
        campaign.workspaceId,
        campaign.externalId,
        campaign.account,
        campaign.name,
        campaign.platform,
        campaign.status,
        campaign.objective,
        campaign.vertical,
        campaign.currency,
        campaign.dailyBudgetMicros,
        campaign.startDate,
        campaign.endDate,
      ],
    );
    return campaignOfRow(rows[0] as CampaignRow);
  }

  /** Sets what is given and counts the version up. */
  async update(manager: EntityManager, id: string, change: CampaignChange): Promise<Campaign> {
    const entries = Object.entries(change) as [keyof CampaignChange, unknown][];
    const assignments = entries.map(([name], index) => `${columnOf[name]} = $${index + 2}`).join(', ');
    const [rows] = await manager.query<[CampaignRow[], number]>(
      `update campaign c set ${assignments}, version = c.version + 1, updated_at = now() where c.id = $1 returning ${campaignColumns}, ${sumsOfRowSql}`,
      [id, ...entries.map(([, value]) => value)],
    );
    return campaignOfRow(rows[0] as CampaignRow);
  }

  async markDeleted(manager: EntityManager, id: string): Promise<void> {
    await manager.query('update campaign set deleted_at = now(), updated_at = now(), version = version + 1 where id = $1', [id]);
  }
}
