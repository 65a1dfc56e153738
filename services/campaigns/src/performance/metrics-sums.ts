/**
 * Sums as stored: counts, and money and conversions in integer millionths. Exact up to 2^53: a campaign's day is held to that when it is
 * written; sums over more than nine billion units of money are rounded.
 */
export interface MetricSums {
  impressions: number;
  clicks: number;
  spendMicros: number;
  conversionsMicros: number;
  conversionValueMicros: number;
}

export const zeroSums: Readonly<MetricSums> = { impressions: 0, clicks: 0, spendMicros: 0, conversionsMicros: 0, conversionValueMicros: 0 };

export const addSums = (a: MetricSums, b: MetricSums): MetricSums => ({
  impressions: a.impressions + b.impressions,
  clicks: a.clicks + b.clicks,
  spendMicros: a.spendMicros + b.spendMicros,
  conversionsMicros: a.conversionsMicros + b.conversionsMicros,
  conversionValueMicros: a.conversionValueMicros + b.conversionValueMicros,
});

/** Sums in the units that users read, with the ratios derived from them. A ratio over zero is null. */
export interface DerivedMetrics {
  impressions: number;
  clicks: number;
  /** In units of the currency. */
  spend: number;
  conversions: number;
  conversionValue: number;
  /** clicks / impressions, a fraction. */
  ctr: number | null;
  /** spend / clicks. */
  cpc: number | null;
  /** spend for a thousand impressions. */
  cpm: number | null;
  /** spend / conversions. */
  cpa: number | null;
  /** conversions / clicks, a fraction. */
  cvr: number | null;
  /** conversionValue / spend, a fraction. */
  roas: number | null;
}

const micros = 1_000_000;

/** Units as micros, rounded half up. */
export const toMicros = (units: number): number => Math.round(units * micros);

const ratio = (numerator: number, denominator: number): number | null => (denominator === 0 ? null : numerator / denominator);

/** Ratios come last, from sums: the mean of daily ratios would weigh a quiet day like a busy one. */
export const deriveMetrics = (sums: MetricSums): DerivedMetrics => {
  const spend = sums.spendMicros / micros;
  const conversions = sums.conversionsMicros / micros;
  const conversionValue = sums.conversionValueMicros / micros;
  return {
    impressions: sums.impressions,
    clicks: sums.clicks,
    spend,
    conversions,
    conversionValue,
    ctr: ratio(sums.clicks, sums.impressions),
    cpc: ratio(spend, sums.clicks),
    cpm: ratio(spend * 1000, sums.impressions),
    cpa: ratio(spend, conversions),
    cvr: ratio(conversions, sums.clicks),
    roas: ratio(conversionValue, spend),
  };
};

/** Columns of sums as pg returns them (bigint as text). */
export interface SumsRow {
  impressions: string;
  clicks: string;
  spend_micros: string;
  conversions_micros: string;
  conversion_value_micros: string;
}

export const sumsOfRow = (row: SumsRow): MetricSums => ({
  impressions: Number(row.impressions),
  clicks: Number(row.clicks),
  spendMicros: Number(row.spend_micros),
  conversionsMicros: Number(row.conversions_micros),
  conversionValueMicros: Number(row.conversion_value_micros),
});

export const sumColumns = ['impressions', 'clicks', 'spend_micros', 'conversions_micros', 'conversion_value_micros'] as const;
