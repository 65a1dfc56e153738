import { Injectable } from '@nestjs/common';
import { openGroup } from '@pca/outbox';
import { positionsName } from '@pca/event-bus';
import { Database, ServiceBus } from '@pca/service-kit';

/** The consumer group that stores events. */
export const timelinesGroup = 'analytics.timelines';

const rememberedMs = 1_000;
/** An answer is worth more than the knowledge of how fresh it is. */
const patienceMs = 2_000;

interface Glance {
  readonly at: Date;
  /** Where each partition ended then. */
  readonly ends: ReadonlyMap<string, number>;
}

/**
 * Knows up to which instant everything that the bus had accepted is stored, so that answers can say so. It looks where the partitions end,
 * and when the group has come that far, everything that was there at the time of the look is stored. A look is made once a second at most, so
 * an answer may be fresher than it says, never staler.
 */
@Injectable()
export class Freshness {
  private known: Date | undefined;
  private open: Glance | undefined;
  private lookedAt = -Infinity;
  private looking: Promise<void> | undefined;

  constructor(
    private readonly database: Database,
    private readonly bus: ServiceBus,
  ) {}

  /** To be asked before the question itself. Null while nothing is known: the bus is away, or nobody has begun to store its events. */
  async asOf(): Promise<string | null> {
    if (performance.now() - this.lookedAt > rememberedMs) await this.look();
    return this.known?.toISOString() ?? null;
  }

  private async look(): Promise<void> {
    this.looking ??= this.compare()
      .catch(() => undefined)
      .finally(() => {
        this.lookedAt = performance.now();
        this.looking = undefined;
      });
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)));
    await Promise.race([this.looking, patience]);
    clearTimeout(timer);
  }

  private async compare(): Promise<void> {
    const bus = await this.bus.open();
    const { generation } = await openGroup(this.database.pool, timelinesGroup);
    const at = new Date();
    const lags = await bus.lag(positionsName(timelinesGroup, generation));
    if (lags.length === 0) return;
    const positions = new Map(lags.map(({ topic, partition, position }) => [`${topic}/${partition}`, position]));
    if (lags.every(({ lag }) => lag === 0)) {
      this.known = at;
      this.open = undefined;
      return;
    }
    if (this.open && [...this.open.ends].every(([name, end]) => (positions.get(name) ?? 0) >= end)) {
      this.known = this.open.at;
      this.open = undefined;
    }
    this.open ??= { at, ends: new Map(lags.map(({ topic, partition, position, lag }) => [`${topic}/${partition}`, position + lag])) };
  }
}
