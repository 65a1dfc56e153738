import { Field, Float, ObjectType } from '@nestjs/graphql';
import { DateScalar } from './date.scalar.js';
import { deriveMetrics, type DerivedMetrics, type MetricSums } from './metrics-sums.js';

/** Sums and the ratios derived from them. Counts are Float because GraphQL's Int ends at 2,147,483,647. */
@ObjectType({ isAbstract: true })
export class MetricFields implements DerivedMetrics {
  @Field(() => Float) impressions: number;
  @Field(() => Float) clicks: number;
  @Field(() => Float, { description: 'In units of the currency' }) spend: number;
  @Field(() => Float) conversions: number;
  @Field(() => Float, { description: 'In units of the currency' }) conversionValue: number;
  @Field(() => Float, { nullable: true, description: 'clicks / impressions, a fraction; null over zero' }) ctr: number | null;
  @Field(() => Float, { nullable: true, description: 'spend / clicks' }) cpc: number | null;
  @Field(() => Float, { nullable: true, description: 'spend for 1,000 impressions' }) cpm: number | null;
  @Field(() => Float, { nullable: true, description: 'spend / conversions' }) cpa: number | null;
  @Field(() => Float, { nullable: true, description: 'conversions / clicks, a fraction' }) cvr: number | null;
  @Field(() => Float, { nullable: true, description: 'conversionValue / spend, a fraction' }) roas: number | null;
}

@ObjectType({ description: 'Sums and ratios of a workspace over a range' })
export class MetricTotals extends MetricFields {}

@ObjectType({ description: 'Sums and ratios of one bucket of a series' })
export class PerformancePoint extends MetricFields {
  @Field(() => DateScalar, { description: 'First day of the bucket' }) date: string;
}

export const pointOf = ({ start, sums }: { start: string; sums: MetricSums }): PerformancePoint => ({
  date: start,
  ...deriveMetrics(sums),
});
