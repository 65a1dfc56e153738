import { Injectable } from '@nestjs/common';
import { decodeAnalyticsId } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { type CallContext, parseInput } from '@pca/service-kit';
import { z } from 'zod';
import { Freshness } from '../freshness/freshness.service.js';
import { WorkspaceStore } from '../workspaces/workspace.store.js';
import { BehaviourReader } from './behaviour.reader.js';
import type { BehaviourTotals, CampaignBehaviour } from './behaviour.types.js';
import { CampaignBehaviourReader, type CampaignNames } from './campaign-behaviour.reader.js';
import { textSchema } from '../questions/limits.js';
import { type GivenRange, isTimeZone, timeRangeOf } from '../questions/time-range.js';

export interface TotalsQuestion extends GivenRange {
  readonly timeZone?: string | undefined;
  readonly includeBots: boolean;
}

export interface CampaignQuestion extends GivenRange {
  readonly conversionEvents: readonly string[];
  readonly includeBots: boolean;
}

const timeZoneSchema = z.string().max(64).refine(isTimeZone, 'must be an IANA time zone, such as Europe/Berlin').optional();
const conversionEventsSchema = z.array(textSchema).min(1).max(50);

@Injectable()
export class BehaviourService {
  constructor(
    private readonly workspaces: WorkspaceStore,
    private readonly freshness: Freshness,
    private readonly behaviour: BehaviourReader,
    private readonly campaigns: CampaignBehaviourReader,
  ) {}

  /** Over a range whose days are those of the time zone, else of the workspace's. */
  async totals(call: CallContext, { timeZone, includeBots, ...given }: TotalsQuestion): Promise<BehaviourTotals> {
    const zone = parseInput(timeZoneSchema, timeZone, 'timeZone');
    const workspace = await this.workspaces.get(call.workspaceId);
    const range = timeRangeOf(given, zone ?? workspace.timeZone);
    const asOf = await this.freshness.asOf();
    return { ...(await this.behaviour.totals(workspace.number, range, includeBots)), asOf };
  }

  /** Over the days and in the time zone of an `Analytics`. Throws BAD_USER_INPUT for what is no id of one. */
  async totalsOf(call: CallContext, analyticsId: string, includeBots: boolean): Promise<BehaviourTotals> {
    const { from, to, timeZone } = decodeAnalyticsId(analyticsId);
    if (!isTimeZone(timeZone)) throw new DomainError('BAD_USER_INPUT', 'This is no id of an Analytics');
    return this.totals(call, { from, to, timeZone, includeBots });
  }

  async ofCampaigns(call: CallContext, campaigns: readonly CampaignNames[], question: CampaignQuestion): Promise<CampaignBehaviour[]> {
    const conversionEvents = parseInput(conversionEventsSchema, question.conversionEvents, 'conversionEvents');
    const { number, timeZone } = await this.workspaces.get(call.workspaceId);
    const range = timeRangeOf(question, timeZone);
    const asOf = await this.freshness.asOf();
    const sums = await this.campaigns.of(number, campaigns, range, conversionEvents, question.includeBots);
    return sums.map((each) => ({ ...each, asOf }));
  }
}
