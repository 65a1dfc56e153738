import { DomainError } from '@pca/errors';
import { isCurrency, platformCharsMax } from '../campaigns/campaign-input.js';
import { canonicalPlatform } from '../campaigns/platform.js';
import type { CampaignStatus } from '../campaigns/campaign.js';
import type { ImportRow, RejectedRow } from '../import-file/import-item.js';

/** A campaign as a file speaks of it, gathered over all its rows. */
export interface FileCampaign {
  /** Stable name of it within the import. */
  ref: string;
  firstLine: number;
  platform: string;
  account: string;
  currency: string;
  externalId: string | null;
  name: string;
  objective: string | null;
  vertical: string | null;
  status: CampaignStatus;
  dailyBudgetMicros: number | null;
  firstDate: string;
  rows: number;
}

export const campaignsOfFileMax = 200_000;

const statusByWord: Readonly<Record<string, CampaignStatus>> = {
  draft: 'DRAFT',
  paused: 'PAUSED',
  inactive: 'PAUSED',
  ended: 'ENDED',
  completed: 'ENDED',
  removed: 'ENDED',
  deleted: 'ENDED',
  archived: 'ENDED',
};

/** A campaign that spends has a state even where the file is silent: active. */
const statusOf = (text: string | undefined): CampaignStatus => statusByWord[text?.trim().toLowerCase() ?? ''] ?? 'ACTIVE';

/** Gathers the campaigns of a file while it streams by; memory grows with campaigns, not with rows, and is bounded. */
export class FileCampaigns {
  private readonly byRef = new Map<string, FileCampaign>();

  get size(): number {
    return this.byRef.size;
  }

  /** The ref of the row's campaign, or why the row cannot be taken. Throws IMPORT_UNREADABLE for more campaigns than an import may hold. */
  take(row: ImportRow): { ref: string } | { rejected: RejectedRow } {
    if (!row.platform) return { rejected: reject(row, 'there is no platform: name it with --platform or have a column of it') };
    if (!row.currency) return { rejected: reject(row, 'there is no currency: name it with --currency or have a column of it') };
    const platform = canonicalPlatform(row.platform);
    if (platform.length > platformCharsMax) return { rejected: reject(row, `the platform has more than ${platformCharsMax} characters`) };
    if (!isCurrency(row.currency)) return { rejected: reject(row, `${row.currency} is not an ISO 4217 currency`) };
    const account = row.account ?? '';
    // By name a campaign is found without regard to case.
    const ref = JSON.stringify([platform, account, row.campaignId ?? null, row.campaignId ? null : row.campaignName?.toLowerCase()]);
    const known = this.byRef.get(ref);
    if (!known) {
      if (this.byRef.size >= campaignsOfFileMax)
        throw new DomainError(
          'IMPORT_UNREADABLE',
          `The file names more than ${campaignsOfFileMax} campaigns; is the right column mapped to campaignId?`,
        );
      this.byRef.set(ref, fileCampaign(ref, row, platform, account, row.currency));
      return { ref };
    }
    if (known.currency !== row.currency)
      return { rejected: reject(row, `the campaign's amounts are in ${known.currency} since line ${known.firstLine}`) };
    known.rows++;
    if (row.date < known.firstDate) known.firstDate = row.date;
    return { ref };
  }

  /** Sorted by ref, so that imports that run side by side meet campaigns in the same order. */
  sorted(): FileCampaign[] {
    return [...this.byRef.values()].sort((a, b) => (a.ref < b.ref ? -1 : 1));
  }
}

const reject = (row: ImportRow, reason: string): RejectedRow => ({
  line: row.line,
  column: null,
  value: row.campaignId ?? row.campaignName ?? '',
  reason,
});

const fileCampaign = (ref: string, row: ImportRow, platform: string, account: string, currency: string): FileCampaign => ({
  ref,
  firstLine: row.line,
  platform,
  account,
  currency,
  externalId: row.campaignId ?? null,
  name: row.campaignName ?? row.campaignId ?? '',
  objective: row.objective ?? null,
  vertical: row.vertical ?? null,
  status: statusOf(row.status),
  dailyBudgetMicros: row.dailyBudgetMicros ?? null,
  firstDate: row.date,
  rows: 1,
});
