import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { type PartitionLag, positionsName } from '@pca/event-bus';
import { openGroup } from '@pca/outbox';
import { Database, ServiceBus } from '@pca/service-kit';

/** The consumer group that stores events. */
export const timelinesGroup = 'analytics.timelines';

const rememberedMs = 1_000;
/** An answer is worth more than the knowledge of how fresh it is. */
const patienceMs = 2_000;
/** Storing takes a fraction of a second, unless the consumers are behind. */
const storedMsMaxDefault = 3_000;
const lookAgainMs = 100;
/** Each of them holds a request, and asks database and bus again and again. */
const waitingMax = 32;
/** So many of one workspace alone: while the consumers are behind, the others' have room beside a crowd of it. */
const waitingOfOneMax = 8;
const retryAfterSeconds = 1;

type Lags = readonly PartitionLag[];

/** Where each partition ended at an instant. */
type Ends = ReadonlyMap<string, number>;

interface Glance {
  readonly at: Date;
  readonly ends: Ends;
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
  /** Workspaces of those who wait. */
  private readonly waiting: number[] = [];

  constructor(
    private readonly database: Database,
    private readonly bus: ServiceBus,
    private readonly storedMsMax = storedMsMaxDefault,
  ) {}

  /** To be asked before the question itself. Null while nothing is known: the bus is away, or nobody has begun to store its events. */
  async asOf(): Promise<string | null> {
    if (performance.now() - this.lookedAt > rememberedMs) await this.look();
    return this.known?.toISOString() ?? null;
  }

  /**
   * What `find` finds, which is asked again until everything is stored that the bus had accepted before this call. Undefined: it is not among
   * that. Throws SERVICE_UNAVAILABLE when so much is not stored in good time, or too many wait for it, in all or of the workspace.
   */
  async whenStored<T>(workspace: number, find: () => Promise<T | undefined>): Promise<T | undefined> {
    const found = await find();
    if (found !== undefined) return found;
    const ofOne = this.waiting.filter((other) => other === workspace).length;
    if (this.waiting.length >= waitingMax || ofOne >= waitingOfOneMax) throw behind();
    this.waiting.push(workspace);
    const ended = new AbortController();
    const late = sleep(this.storedMsMax, undefined, { signal: ended.signal }).then(() => Promise.reject(behind()));
    try {
      return await Promise.race([this.findUntilStored(find, ended.signal), late]);
    } finally {
      ended.abort();
      this.waiting.splice(this.waiting.indexOf(workspace), 1);
    }
  }

  private async findUntilStored<T>(find: () => Promise<T | undefined>, signal: AbortSignal): Promise<T | undefined> {
    let ends: Ends | undefined;
    while (!signal.aborted) {
      const lags = await this.lags();
      if (lags.length > 0) ends ??= endsOf(lags);
      // Asked for before it is looked for: what is stored in between is found.
      const isStored = ends !== undefined && havePassed(lags, ends);
      const found = await find();
      if (found !== undefined || isStored) return found;
      await sleep(lookAgainMs);
    }
    return undefined;
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
    const at = new Date();
    const lags = await this.lags();
    if (lags.length === 0) return;
    if (lags.every(({ lag }) => lag === 0)) {
      this.known = at;
      this.open = undefined;
      return;
    }
    if (this.open && havePassed(lags, this.open.ends)) {
      this.known = this.open.at;
      this.open = undefined;
    }
    this.open ??= { at, ends: endsOf(lags) };
  }

  /** Of every partition in which the group has a position. */
  private async lags(): Promise<Lags> {
    const bus = await this.bus.open();
    const { generation } = await openGroup(this.database.pool, timelinesGroup);
    return bus.lag(positionsName(timelinesGroup, generation));
  }
}

const endsOf = (lags: Lags): Ends => new Map(lags.map((each) => [nameOf(each), each.position + each.lag]));

const havePassed = (lags: Lags, ends: Ends): boolean => {
  const positions = new Map(lags.map((each) => [nameOf(each), each.position]));
  return [...ends].every(([name, end]) => (positions.get(name) ?? 0) >= end);
};

const nameOf = ({ topic, partition }: PartitionLag): string => `${topic}/${partition}`;

const behind = (): DomainError =>
  new DomainError('SERVICE_UNAVAILABLE', 'It is not known yet, and not everything that was accepted is stored; ask again', {
    retryAfterSeconds,
  });
