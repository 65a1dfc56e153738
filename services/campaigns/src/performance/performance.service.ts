import { Injectable } from '@nestjs/common';
import { makeEvent, performanceRecorded, type BusMessage } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { enqueue } from '@pca/outbox';
import { type CallContext, Database, parseInput, withIdempotency } from '@pca/service-kit';
import type { EntityManager } from 'typeorm';
import { z } from 'zod';
import { campaignIdSchema, dayOrInstantSchema, moneySchema, textSchema } from '../campaigns/campaign-input.js';
import { WorkspaceService } from '../workspaces/workspace.service.js';
import { breakdownKey } from './breakdown.js';
import {
  type ChangedDay,
  type LockedCampaign,
  PerformanceStore,
  type PerformanceRow,
  type RowSource,
  type UpsertResult,
} from './performance.store.js';
import { toMicros } from './metrics-sums.js';
import { type PointsBudget, pointsIn, pointsMax } from './points-budget.js';
import { bucketSeries, type BucketSums, daysBetween, dayIn, type DaySums, type Interval } from './series.js';

export const recordRowsMax = 1_000;
export const rangeDaysMax = 3_660;
const countSchema = z.int().min(0).max(1_000_000_000_000);

export const performanceInputSchema = z.strictObject({
  campaignId: campaignIdSchema,
  date: dayOrInstantSchema,
  breakdown: z
    .array(z.strictObject({ name: textSchema(64), value: textSchema(256) }))
    .max(10)
    .refine((entries) => new Set(entries.map((entry) => entry.name)).size === entries.length, 'must not name a dimension twice')
    .nullish(),
  impressions: countSchema.nullish(),
  clicks: countSchema.nullish(),
  spend: moneySchema.nullish(),
  conversions: moneySchema.nullish(),
  conversionValue: moneySchema.nullish(),
});
const recordSchema = z.array(performanceInputSchema).min(1).max(recordRowsMax);

export interface RecordResult {
  /** Rows that were taken in. */
  recorded: number;
  /** Rows that said something new. */
  changed: number;
}

export interface SeriesRequest {
  from?: string | undefined;
  to?: string | undefined;
  interval: Interval;
}

@Injectable()
export class PerformanceService {
  constructor(
    private readonly database: Database,
    private readonly store: PerformanceStore,
    private readonly workspaces: WorkspaceService,
  ) {}

  /** Records days, or restates them: a row replaces the one of the same campaign, day and breakdown. All rows or none. */
  async record(call: CallContext, input: unknown, idempotencyKey?: string): Promise<RecordResult> {
    const items = parseInput(recordSchema, input);
    const { timeZone } = await this.workspaces.get(call);
    const rows = items.map((item) => rowOf(item, timeZone));
    refuseRepeats(rows);
    const once = { workspaceId: call.workspaceId, key: idempotencyKey, operation: 'recordPerformance', request: rows };
    return this.database.transaction((manager) => withIdempotency(manager, once, () => this.recordRows(manager, call, rows)));
  }

  private async recordRows(manager: EntityManager, call: CallContext, rows: readonly PerformanceRow[]): Promise<RecordResult> {
    const ids = [...new Set(rows.map((row) => row.campaignId))];
    const campaigns = await this.store.lockCampaigns(manager, call.workspaceId, ids);
    const missing = ids.filter((id) => !campaigns.some((campaign) => campaign.id === id));
    if (missing.length > 0) throw new DomainError('NOT_FOUND', 'No such campaign in this workspace', { campaignIds: missing.slice(0, 20) });
    const { changedRows } = await this.write(manager, call, campaigns, this.store.sourceOf(rows));
    return { recorded: rows.length, changed: changedRows };
  }

  /** Writes rows of locked campaigns and tells of the days that changed, in the caller's transaction. */
  async write(manager: EntityManager, call: CallContext, campaigns: readonly LockedCampaign[], source: RowSource): Promise<UpsertResult> {
    const result = await this.store.upsert(manager, source);
    const { days } = result;
    refuseUnsafeSums(days);
    for (const part of chunks(eventsOf(call, campaigns, days), eventsAtOnceMax)) await enqueue(manager, part);
    return result;
  }

  /**
   * Series of campaigns over a range, in the order of `ids`. Throws BAD_USER_INPUT for a range that is reversed or longer than ten years,
   * QUERY_TOO_COMPLEX for more points than the request may have, before they are made.
   */
  async series(call: CallContext, ids: readonly string[], request: SeriesRequest, budget: PointsBudget): Promise<BucketSums[][]> {
    const workspace = await this.workspaces.get(call);
    const range = resolveRange(request, workspace.timeZone);
    if (range.from && range.to) budget.take(ids.length * pointsIn({ from: range.from, to: range.to }, request.interval));
    const days = await this.store.days(ids, range.from, range.to, pointsMax + 1);
    if (days.length > pointsMax) budget.take(days.length);
    const byCampaign = Map.groupBy(days, (day) => day.campaignId);
    return ids.map((id) => {
      const own = byCampaign.get(id) ?? [];
      const span = spanOf(own, range);
      if (span && !(range.from && range.to)) budget.take(pointsIn(span, request.interval));
      return span ? bucketSeries(own, span, request.interval, workspace.firstDayOfWeek) : [];
    });
  }
}

const rowOf = (input: z.output<typeof performanceInputSchema>, timeZone: string): PerformanceRow => ({
  campaignId: input.campaignId.toLowerCase(),
  date: dayIn(input.date, timeZone),
  breakdownKey: breakdownKey(Object.fromEntries((input.breakdown ?? []).map(({ name, value }) => [name, value]))),
  impressions: input.impressions ?? 0,
  clicks: input.clicks ?? 0,
  spendMicros: toMicros(input.spend ?? 0),
  conversionsMicros: toMicros(input.conversions ?? 0),
  conversionValueMicros: toMicros(input.conversionValue ?? 0),
});

const refuseRepeats = (rows: readonly PerformanceRow[]): void => {
  const seen = new Map<string, number>();
  for (const [index, row] of rows.entries()) {
    const key = `${row.campaignId} ${row.date} ${row.breakdownKey}`;
    const first = seen.get(key);
    if (first !== undefined) {
      throw new DomainError('BAD_USER_INPUT', `Rows ${first} and ${index} are the same campaign, day and breakdown; which one counts?`, {
        rows: [first, index],
      });
    }
    seen.set(key, index);
  }
};

/** Throws BAD_USER_INPUT, and with it the transaction, for a day whose sums are no longer exact. */
const refuseUnsafeSums = (days: readonly ChangedDay[]): void => {
  for (const { campaignId, date, ...sums } of days) {
    const tooLarge = Object.values(sums).some((sum) => !Number.isSafeInteger(sum));
    if (tooLarge) throw new DomainError('BAD_USER_INPUT', `The sums of ${date} are too large to be exact`, { campaignId, date });
  }
};

/** An event has up to 1,000 days, about 150 kB: so many of them stay below what one enqueue takes. */
const daysOfEventMax = 1_000;
const eventsAtOnceMax = 100;

const eventsOf = (call: CallContext, campaigns: readonly LockedCampaign[], days: readonly ChangedDay[]): BusMessage[] =>
  [...Map.groupBy(days, (day) => day.campaignId)].flatMap(([campaignId, own]) => {
    const currency = campaigns.find((campaign) => campaign.id === campaignId)?.currency;
    if (currency === undefined) throw new Error(`Days were written of campaign ${campaignId}, which is not locked`);
    const plain = own.map(({ campaignId: _id, ...day }) => day);
    return chunks(plain, daysOfEventMax).map((part) =>
      makeEvent(performanceRecorded, { campaignId, currency, days: part, actor: call.actor }, call),
    );
  });

const chunks = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_unused, index) => items.slice(index * size, (index + 1) * size));

/** Days of a range given as days or instants. Throws BAD_USER_INPUT when it is reversed or too long. */
export const resolveRange = (
  range: { from?: string | undefined; to?: string | undefined },
  timeZone: string,
): { from?: string; to?: string } => {
  const from = range.from === undefined ? undefined : dayIn(range.from, timeZone);
  const to = range.to === undefined ? undefined : dayIn(range.to, timeZone);
  if (from && to && from > to) throw new DomainError('BAD_USER_INPUT', 'from must not lie after to', { from, to });
  if (from && to && daysBetween(from, to) > rangeDaysMax)
    throw new DomainError('BAD_USER_INPUT', `A range has at most ${rangeDaysMax} days`, { from, to });
  return { ...(from && { from }), ...(to && { to }) };
};

/** What a series covers: the range where it is given, else the days that there are; at most the last ten years of them. */
export const spanOf = (days: readonly DaySums[], range: { from?: string; to?: string }): { from: string; to: string } | undefined => {
  const from = range.from ?? days[0]?.date;
  const to = range.to ?? days.at(-1)?.date;
  if (!from || !to || from > to) return undefined;
  if (daysBetween(from, to) > rangeDaysMax)
    throw new DomainError('BAD_USER_INPUT', `The data spans more than ${rangeDaysMax} days; name from and to`, { from, to });
  return { from, to };
};
