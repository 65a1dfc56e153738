import type { MetricSums, SumsRow } from '../performance/metrics-sums.js';
import { sumsOfRow } from '../performance/metrics-sums.js';

export const campaignStatuses = ['DRAFT', 'ACTIVE', 'PAUSED', 'ENDED'] as const;
export type CampaignStatus = (typeof campaignStatuses)[number];

/** A campaign with the sums of its life, or of the days that a filter names. */
export interface Campaign {
  id: string;
  externalId: string | null;
  name: string;
  platform: string;
  status: CampaignStatus;
  objective: string | null;
  vertical: string | null;
  currency: string;
  dailyBudgetMicros: number | null;
  startDate: string;
  endDate: string | null;
  version: number;
  createdAt: string;
  updatedAt: string;
  sums: MetricSums;
}

export interface CampaignRow extends SumsRow {
  id: string;
  external_id: string | null;
  name: string;
  platform: string;
  status: CampaignStatus;
  objective: string | null;
  vertical: string | null;
  currency: string;
  daily_budget_micros: string | null;
  start_date: string;
  end_date: string | null;
  version: number;
  created_at: Date;
  updated_at: Date;
}

/** Dates are read as text: a Date would shift them by the machine's time zone. */
export const campaignColumns = `c.id, c.external_id, c.name, c.platform, c.status, c.objective, c.vertical, c.currency, c.daily_budget_micros,
  c.start_date::text, c.end_date::text, c.version, c.created_at, c.updated_at`;

export const campaignOfRow = (row: CampaignRow): Campaign => ({
  id: row.id,
  externalId: row.external_id,
  name: row.name,
  platform: row.platform,
  status: row.status,
  objective: row.objective,
  vertical: row.vertical,
  currency: row.currency,
  dailyBudgetMicros: row.daily_budget_micros === null ? null : Number(row.daily_budget_micros),
  startDate: row.start_date,
  endDate: row.end_date,
  version: row.version,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
  sums: sumsOfRow(row),
});
