import type { Problem } from '@pca/errors';
import type { ImportReading, RejectedRow } from '../import-file/import-item.js';

export const rejectedShownMax = 1_000;

/** What an import did, growing while it runs. Counts are rows of the file unless said otherwise. */
export interface ImportReport {
  bytesRead: number;
  rows: number;
  rejected: number;
  /** The first 1,000 rejected rows, with line, column and reason. */
  rejectedRows: RejectedRow[];
  /** Rows that share campaign, day and breakdown with another row of the file; they were added up. */
  summedRows: number;
  /** Stored rows that are new or say something new; 0 for a repeat. */
  changedRows: number;
  campaignsMerged: number;
  campaignsCreated: number;
  campaignsTotal: number;
  reading?: ImportReading;
  /** Why it failed. */
  problem?: Problem;
}

export const emptyReport = (): ImportReport => ({
  bytesRead: 0,
  rows: 0,
  rejected: 0,
  rejectedRows: [],
  summedRows: 0,
  changedRows: 0,
  campaignsMerged: 0,
  campaignsCreated: 0,
  campaignsTotal: 0,
});

export const addRejected = (report: ImportReport, rejected: readonly RejectedRow[]): void => {
  report.rejected += rejected.length;
  report.rejectedRows.push(...rejected.slice(0, Math.max(0, rejectedShownMax - report.rejectedRows.length)));
};
