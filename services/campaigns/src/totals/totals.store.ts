import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { sumColumns, sumsOfRow, type SumsRow } from '../performance/metrics-sums.js';
import type { DaySums } from '../performance/series.js';

export interface DailyTotals extends DaySums {
  currency: string;
}

/** Reads the sums of the workspace's days, which every write keeps up. */
@Injectable()
export class TotalsStore {
  constructor(private readonly database: Database) {}

  /** By currency and in the order of time; days of zeros, such as a deleted campaign leaves, are left out. `platform` is canonical. */
  async days(workspaceId: string, bounds: { from?: string; to?: string; platform?: string; currency?: string }): Promise<DailyTotals[]> {
    const sums = sumColumns.map((column) => `sum(${column})::bigint as ${column}`).join(', ');
    const { rows } = await this.database.pool.query<SumsRow & { currency: string; date: string }>(
      `select currency, date::text, ${sums} from daily_total
       where workspace_id = $1 and ($2::text is null or lower(platform) = lower($2)) and ($3::text is null or currency = $3)
         and ($4::date is null or date >= $4::date) and ($5::date is null or date <= $5::date)
       group by currency, date having sum(impressions) + sum(clicks) + sum(spend_micros) + sum(conversions_micros) + sum(conversion_value_micros) > 0
       order by currency, date`,
      [workspaceId, bounds.platform ?? null, bounds.currency ?? null, bounds.from ?? null, bounds.to ?? null],
    );
    return rows.map((row) => ({ currency: row.currency, date: row.date, ...sumsOfRow(row) }));
  }
}
