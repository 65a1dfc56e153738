import { DomainError } from '@pca/errors';
import type { GraphqlContext } from '@pca/service-kit';
import { daysBetween, type Interval } from './series.js';

export const pointsMax = 50_000;

/**
 * How many points the series of one request may have, over all its campaigns and aliases: empty days are points too, so a query costs by what
 * it asks for and not by what is stored.
 */
export class PointsBudget {
  private left = pointsMax;

  /** Throws QUERY_TOO_COMPLEX when the request asks for more than is left. */
  take(points: number): void {
    this.left -= points;
    if (this.left >= 0) return;
    throw new DomainError(
      'QUERY_TOO_COMPLEX',
      `The series of one request have at most ${pointsMax} points; ask for fewer campaigns, days, or weeks`,
      {
        limit: 'points',
        max: pointsMax,
      },
    );
  }
}

const daysOf: Readonly<Record<Interval, number>> = { DAY: 1, WEEK: 7, MONTH: 28 };

/** At least as many as there are buckets in the range. */
export const pointsIn = (range: { from: string; to: string }, interval: Interval): number =>
  Math.ceil(daysBetween(range.from, range.to) / daysOf[interval]) + 1;

const key = 'points budget';

/** The one budget of this request. */
export const pointsBudgetOf = (context: GraphqlContext): PointsBudget => {
  const known = context.loaders.get(key) as PointsBudget | undefined;
  if (known) return known;
  const budget = new PointsBudget();
  context.loaders.set(key, budget);
  return budget;
};
