import { Injectable } from '@nestjs/common';
import { type CallContext, parseInput } from '@pca/service-kit';
import { Freshness } from '../freshness/freshness.service.js';
import { limitSchema } from '../questions/limits.js';
import { type GivenRange, timeRangeOf } from '../questions/time-range.js';
import { WorkspaceStore } from '../workspaces/workspace.store.js';
import { type FeatureBy, FeatureReader } from './feature.reader.js';
import type { FeatureUsageType, PageUsageType } from './feature.types.js';

/** `limit` 1 to 200. */
export interface UsageQuestion extends GivenRange {
  readonly limit: number;
  readonly includeBots: boolean;
}

@Injectable()
export class FeatureService {
  constructor(
    private readonly features: FeatureReader,
    private readonly workspaces: WorkspaceStore,
    private readonly freshness: Freshness,
  ) {}

  async featureUsage(call: CallContext, question: UsageQuestion, by: FeatureBy): Promise<FeatureUsageType[]> {
    const { number, range, limit, asOf } = await this.prepare(call, question);
    const features = await this.features.features(number, range, limit, by, question.includeBots);
    return features.map((feature) => ({ ...feature, asOf }));
  }

  async pageViews(call: CallContext, question: UsageQuestion): Promise<PageUsageType[]> {
    const { number, range, limit, asOf } = await this.prepare(call, question);
    const pages = await this.features.pages(number, range, limit, question.includeBots);
    return pages.map((page) => ({ ...page, asOf }));
  }

  private async prepare(call: CallContext, question: UsageQuestion) {
    const limit = parseInput(limitSchema, question.limit, 'limit');
    const { number, timeZone } = await this.workspaces.get(call.workspaceId);
    return { number, limit, range: timeRangeOf(question, timeZone), asOf: await this.freshness.asOf() };
  }
}
