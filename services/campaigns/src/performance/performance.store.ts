import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import type { EntityManager } from 'typeorm';
import { sumColumns, sumsOfRow, type MetricSums, type SumsRow } from './metrics-sums.js';
import type { DaySums } from './series.js';

/** One row of a campaign's day; several of a day differ by their breakdown key. */
export interface PerformanceRow extends MetricSums {
  campaignId: string;
  date: string;
  breakdownKey: string;
}

export interface LockedCampaign {
  id: string;
  platform: string;
  currency: string;
}

/** Sums of a campaign's day after a change. */
export interface ChangedDay extends DaySums {
  campaignId: string;
}

/**
 * Where rows come from, as a SELECT of (campaign_id, date, breakdown_key, sums, n), unique by the first three; n counts the rows behind
 * each.
 */
export interface RowSource {
  sql: string;
  values: unknown[];
}

export interface UpsertResult {
  /** Rows behind the source's, which may have added some up. */
  sourceRows: number;
  /** Different rows by campaign, day and breakdown that the source held. */
  keys: number;
  /** How many of them said something new. */
  changedRows: number;
  /** Sums of each changed day after the change, by campaign and date. */
  days: ChangedDay[];
}

const sums = (expression: (column: string) => string): string =>
  sumColumns.map((column) => `${expression(column)} as ${column}`).join(', ');
const list = (prefix: string): string => sumColumns.map((column) => `${prefix}.${column}`).join(', ');
const assign = (expression: (column: string) => string): string =>
  sumColumns.map((column) => `${column} = ${expression(column)}`).join(', ');

/**
 * Writes rows, and with the differences to what stood there before the sums of the campaign's life and of the workspace's days: one
 * statement, so that
 * rows and sums never disagree. Rows that say what is stored already change nothing. Needs the campaigns' rows locked: nobody else may
 * write these days.
 */
const upsertSql = (source: RowSource): string => `
  with source as (${source.sql}),
  before as (select p.* from performance p join source s on p.campaign_id = s.campaign_id and p.date = s.date and p.breakdown_key = s.breakdown_key),
  changed as (
    insert into performance as p (campaign_id, date, breakdown_key, ${sumColumns.join(', ')})
    select s.campaign_id, s.date, s.breakdown_key, ${list('s')} from source s
    on conflict (campaign_id, date, breakdown_key) do update set ${assign((column) => `excluded.${column}`)}
    where (${list('p')}) is distinct from (${list('excluded')})
    returning p.*
  ),
  delta as (
    select c.campaign_id, c.date, ${sums((column) => `sum(c.${column} - coalesce(b.${column}, 0))`)}, count(*) as n
    from changed c left join before b on b.campaign_id = c.campaign_id and b.date = c.date and b.breakdown_key = c.breakdown_key
    group by c.campaign_id, c.date
  ),
  life as (
    update campaign c set ${assign((column) => `c.${column} + d.${column}`)}
    from (select campaign_id, ${sums((column) => `sum(${column})::bigint`)} from delta group by campaign_id) d
    where c.id = d.campaign_id
  ),
  totals as (
    insert into daily_total as t (workspace_id, platform, currency, date, ${sumColumns.join(', ')})
    select c.workspace_id, c.platform, c.currency, d.date, ${sums((column) => `sum(d.${column})::bigint`)}
    from delta d join campaign c on c.id = d.campaign_id
    group by c.workspace_id, c.platform, c.currency, d.date order by 1, 2, 3, 4
    on conflict (workspace_id, platform, currency, date) do update set ${assign((column) => `t.${column} + excluded.${column}`)}
  )
  select (select count(*)::int from source) as keys, (select coalesce(sum(n), 0)::int from source) as source_rows, d.campaign_id, d.date::text, d.n::int from (select 1) one left join delta d on true`;

@Injectable()
export class PerformanceStore {
  constructor(private readonly database: Database) {}

  /** Locks the workspace's campaigns in the order of their ids, so that two writers never wait for each other in a circle. */
  lockCampaigns(manager: EntityManager, workspaceId: string, ids: readonly string[]): Promise<LockedCampaign[]> {
    const sql = `select id, platform, currency from campaign where workspace_id = $1 and id = any($2::uuid[]) and deleted_at is null order by id for update`;
    return manager.query<LockedCampaign[]>(sql, [workspaceId, ids]);
  }

  sourceOf(rows: readonly PerformanceRow[]): RowSource {
    const column = (pick: (row: PerformanceRow) => unknown): unknown[] => rows.map(pick);
    return {
      sql: `select s.*, 1 as n from unnest($1::uuid[], $2::date[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
        as s (campaign_id, date, breakdown_key, ${sumColumns.join(', ')})`,
      values: [
        column((row) => row.campaignId),
        column((row) => row.date),
        column((row) => row.breakdownKey),
        column((row) => row.impressions),
        column((row) => row.clicks),
        column((row) => row.spendMicros),
        column((row) => row.conversionsMicros),
        column((row) => row.conversionValueMicros),
      ],
    };
  }

  /** The campaigns must be locked. */
  async upsert(manager: EntityManager, source: RowSource): Promise<UpsertResult> {
    const result = await manager.query<{ keys: number; source_rows: number; campaign_id: string | null; date: string; n: number }[]>(
      upsertSql(source),
      source.values,
    );
    const keys = result[0]?.keys ?? 0;
    const sourceRows = result[0]?.source_rows ?? 0;
    const changed = result.filter((row) => row.campaign_id !== null);
    if (changed.length === 0) return { sourceRows, keys, changedRows: 0, days: [] };
    const rows = await manager.query<(SumsRow & { campaign_id: string; date: string })[]>(
      `select p.campaign_id, p.date::text, ${sums((column) => `sum(p.${column})::bigint`)}
       from performance p join unnest($1::uuid[], $2::date[]) as d (campaign_id, date) on p.campaign_id = d.campaign_id and p.date = d.date
       group by p.campaign_id, p.date order by p.campaign_id, p.date`,
      [changed.map((day) => day.campaign_id), changed.map((day) => day.date)],
    );
    const days = rows.map((row) => ({ campaignId: row.campaign_id, date: row.date, ...sumsOfRow(row) }));
    return { sourceRows, keys, changedRows: changed.reduce((total, day) => total + day.n, 0), days };
  }

  /** Takes a campaign's days out of the workspace's totals, when it is deleted. The campaign must be locked. */
  async removeFromTotals(manager: EntityManager, campaign: LockedCampaign & { workspaceId: string }): Promise<void> {
    // Locked in the order in which recording locks them, so that the two never wait for each other in a circle.
    await manager.query(
      `select 1 from daily_total where workspace_id = $1 and platform = $2 and currency = $3
       and date in (select date from performance where campaign_id = $4) order by date for update`,
      [campaign.workspaceId, campaign.platform, campaign.currency, campaign.id],
    );
    await manager.query(
      `update daily_total t set ${assign((column) => `t.${column} - d.${column}`)}
       from (select date, ${sums((column) => `sum(${column})::bigint`)} from performance where campaign_id = $1 group by date order by date) d
       where t.workspace_id = $2 and t.platform = $3 and t.currency = $4 and t.date = d.date`,
      [campaign.id, campaign.workspaceId, campaign.platform, campaign.currency],
    );
  }

  /**
   * Days of campaigns, summed over their breakdown, by campaign and in the order of time. The caller has checked whose campaigns they are.
   */
  async days(campaignIds: readonly string[], from: string | undefined, to: string | undefined, limit: number): Promise<ChangedDay[]> {
    const { rows } = await this.database.pool.query<SumsRow & { campaign_id: string; date: string }>(
      `select campaign_id, date::text, ${sums((column) => `sum(${column})::bigint`)} from performance
       where campaign_id = any($1::uuid[]) and ($2::date is null or date >= $2::date) and ($3::date is null or date <= $3::date)
       group by campaign_id, date order by campaign_id, date limit $4`,
      [campaignIds, from ?? null, to ?? null, limit],
    );
    return rows.map((row) => ({ campaignId: row.campaign_id, date: row.date, ...sumsOfRow(row) }));
  }
}
