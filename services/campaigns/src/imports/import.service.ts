import { Injectable } from '@nestjs/common';
import { DomainError, problemOf } from '@pca/errors';
import { type CallContext, Database, domainErrorOf } from '@pca/service-kit';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { CampaignService } from '../campaigns/campaign.service.js';
import type { ImportOptions } from '../import-file/import-options.js';
import { readImportFile } from '../import-file/read-import-file.js';
import { PerformanceService } from '../performance/performance.service.js';
import { type LockedCampaign, PerformanceStore } from '../performance/performance.store.js';
import { WorkspaceService } from '../workspaces/workspace.service.js';
import { type FileCampaign, FileCampaigns } from './import-campaigns.js';
import type { ImportJob, ImportState } from './import-job.entity.js';
import { addRejected, emptyReport, type ImportReport } from './import-report.js';
import { ImportStore, type StagedRow } from './import.store.js';

export interface ImportLimits {
  bytesMax: number;
  atOnceMax: number;
}

export interface ImportProgress {
  importId: string;
  state: ImportState;
  report: ImportReport;
}

/** One transaction: small enough that its locks are short, its changed days fit into little memory and progress shows. */
const partCampaignsMax = 200;
const partRowsMax = 20_000;
const progressMs = 500;
/** Well within the minutes after which a job that stands still is given up. */
const heartbeatMs = 30_000;

@Injectable()
export class ImportService {
  private readonly running: string[] = [];

  constructor(
    private readonly limits: ImportLimits,
    private readonly database: Database,
    private readonly store: ImportStore,
    private readonly campaigns: CampaignService,
    private readonly performanceStore: PerformanceStore,
    private readonly performance: PerformanceService,
    private readonly workspaces: WorkspaceService,
  ) {}

  /**
   * Reads a whole file, then merges it, some campaigns a transaction. A failure while reading stores nothing; one while merging leaves
   * whole campaigns merged, and the same file again does the rest. `onProgress` is called at most twice a second.
   */
  async run(
    call: CallContext,
    options: ImportOptions,
    file: AsyncIterable<Buffer>,
    onProgress: (progress: ImportProgress) => void,
  ): Promise<ImportProgress> {
    this.takePlace(call.workspaceId);
    const importId = uuidv7();
    const report = emptyReport();
    const beat = setInterval(() => void this.store.heartbeat(importId).catch(() => undefined), heartbeatMs);
    try {
      await this.store.start({ id: importId, workspaceId: call.workspaceId, actor: call.actor, options, report });
      const tell = this.teller(importId, report, onProgress);
      const found = await this.read(importId, options, file, report, () => tell('READING'));
      await this.merge(call, importId, found, report, () => tell('MERGING'));
      return await this.end(importId, 'DONE', report);
    } catch (error) {
      report.problem = problemOf(domainErrorOf(error));
      await this.end(importId, 'FAILED', report).catch(() => undefined);
      throw error;
    } finally {
      clearInterval(beat);
      this.running.splice(this.running.indexOf(call.workspaceId), 1);
      await this.store.unstage(importId).catch(() => undefined);
    }
  }

  /** One place is always left to other workspaces. Throws RATE_LIMITED. */
  private takePlace(workspaceId: string): void {
    const own = this.running.filter((other) => other === workspaceId).length;
    if (this.running.length >= this.limits.atOnceMax || own >= Math.max(1, this.limits.atOnceMax - 1))
      throw new DomainError('RATE_LIMITED', 'Other imports are running; try again when they are done', { retryAfterSeconds: 10 });
    this.running.push(workspaceId);
  }

  async find(call: CallContext, id: string): Promise<ImportJob> {
    const job = z.uuid().safeParse(id).success ? await this.store.find(call.workspaceId, id) : null;
    if (!job) throw new DomainError('NOT_FOUND', 'No such import in this workspace', { id });
    return job;
  }

  private async end(importId: string, state: ImportState, report: ImportReport): Promise<ImportProgress> {
    await this.store.progress(importId, state, report);
    return { importId, state, report };
  }

  private teller(
    importId: string,
    report: ImportReport,
    onProgress: (progress: ImportProgress) => void,
  ): (state: ImportState) => Promise<void> {
    let last = 0;
    return async (state) => {
      if (Date.now() - last < progressMs) return;
      last = Date.now();
      onProgress({ importId, state, report });
      await this.store.progress(importId, state, report);
    };
  }

  private async read(
    importId: string,
    options: ImportOptions,
    file: AsyncIterable<Buffer>,
    report: ImportReport,
    tell: () => Promise<void>,
  ): Promise<FileCampaigns> {
    const found = new FileCampaigns();
    const bounded = boundedBytes(file, this.limits.bytesMax);
    await this.store.stage(importId, stagedRows(readImportFile(bounded, options), found, report, tell));
    report.campaignsTotal = found.size;
    return found;
  }

  private async merge(
    call: CallContext,
    importId: string,
    found: FileCampaigns,
    report: ImportReport,
    tell: () => Promise<void>,
  ): Promise<void> {
    const owners = new Map<string, string>();
    for (const part of partsOf(found.sorted())) {
      const merged = await this.database.transaction((manager) => this.mergePart(manager, call, importId, part, owners));
      addRejected(report, merged.rejected);
      report.rejected += merged.rowsRejected - merged.rejected.length;
      report.rows -= merged.rowsRejected;
      report.summedRows += merged.rows - merged.keys;
      report.changedRows += merged.changedRows;
      report.campaignsCreated += merged.created;
      report.campaignsMerged += part.length;
      await tell();
    }
  }

  /** `owners` are the campaigns that earlier parts wrote to, by id, with the name that the file gave them. */
  private async mergePart(
    manager: EntityManager,
    call: CallContext,
    importId: string,
    part: readonly FileCampaign[],
    owners: Map<string, string>,
  ) {
    await this.store.lockWorkspace(manager, call.workspaceId);
    await this.workspaces.ensure(manager, call);
    const candidates = Map.groupBy(await this.store.candidates(manager, call.workspaceId, part), (candidate) => candidate.ref);
    const wanted: Target[] = [];
    const refused: { campaign: FileCampaign; reason: string }[] = [];
    let created = 0;
    for (const campaign of part) {
      const target = choose(campaign, candidates.get(campaign.ref) ?? [], owners);
      if (typeof target === 'string') {
        refused.push({ campaign, reason: target });
        continue;
      }
      if (!target) created++;
      const { id } = target ?? (await this.create(manager, call, campaign));
      owners.set(id, campaign.ref);
      wanted.push({ campaign, ref: campaign.ref, id });
    }
    const locked = await this.performanceStore.lockCampaigns(
      manager,
      call.workspaceId,
      wanted.map(({ id }) => id),
    );
    const alive = new Set(locked.map(({ id }) => id));
    const targets = wanted.filter(({ id }) => alive.has(id));
    for (const { id, campaign } of wanted)
      if (!alive.has(id)) refused.push({ campaign, reason: 'the campaign was deleted in the meantime' });
    const { sourceRows, keys, changedRows } = await this.performance.write(manager, call, locked, this.store.sourceOf(importId, targets));
    const rows = rowsOf(targets.map(({ campaign }) => campaign));
    // Staged rows do not survive a crash of the server, nor of what took this import for dead: then nothing of them may count as stored.
    if (sourceRows !== rows) throw new DomainError('SERVICE_UNAVAILABLE', 'The rows of the file were lost on the way; send the file again');
    return {
      created,
      keys,
      changedRows,
      rows,
      rowsRejected: rowsOf(refused.map(({ campaign }) => campaign)),
      rejected: refused.map(({ campaign, reason }) => ({
        line: campaign.firstLine,
        column: null,
        value: campaign.name,
        reason: `${reason} (${campaign.rows} rows of this campaign)`,
      })),
    };
  }

  private create(manager: EntityManager, call: CallContext, campaign: FileCampaign): Promise<{ id: string }> {
    return this.campaigns.insert(manager, call, {
      id: uuidv7(),
      workspaceId: call.workspaceId,
      account: campaign.account,
      externalId: campaign.externalId,
      name: campaign.name,
      platform: campaign.platform,
      status: campaign.status,
      objective: campaign.objective,
      vertical: campaign.vertical,
      currency: campaign.currency,
      dailyBudgetMicros: campaign.dailyBudgetMicros,
      startDate: campaign.firstDate,
      endDate: null,
    });
  }
}

interface Target {
  campaign: FileCampaign;
  ref: string;
  id: string;
}

const rowsOf = (campaigns: readonly FileCampaign[]): number => campaigns.reduce((total, { rows }) => total + rows, 0);

/** The campaign to write to, a reason why there is none, or undefined when it is to be created. */
const choose = (
  campaign: FileCampaign,
  candidates: readonly LockedCampaign[],
  owners: ReadonlyMap<string, string>,
): LockedCampaign | string | undefined => {
  const [first, second] = candidates;
  if (second) return `${candidates.length} campaigns have this name; give the file a campaign id`;
  if (first && first.currency !== campaign.currency) return `the campaign's amounts are in ${first.currency}, not ${campaign.currency}`;
  const owner = first && owners.get(first.id);
  // A second write would restate the rows of the first instead of adding to them.
  if (owner !== undefined && owner !== campaign.ref)
    return `it is the same campaign as another of this file, named in another way: ${owner}`;
  return first;
};

const partsOf = (campaigns: readonly FileCampaign[]): FileCampaign[][] => {
  const parts: FileCampaign[][] = [];
  let rows = 0;
  for (const campaign of campaigns) {
    const last = parts.at(-1);
    if (!last || last.length >= partCampaignsMax || rows + campaign.rows > partRowsMax) {
      parts.push([campaign]);
      rows = 0;
    } else last.push(campaign);
    rows += campaign.rows;
  }
  return parts;
};

/** A slow line is no reason to refuse a file; a client that sends a byte now and then to hold a place is. */
const bytesPerSecondMin = 1_000;
const graceSeconds = 60;

async function* boundedBytes(file: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Buffer> {
  const startedMs = performance.now();
  let bytes = 0;
  for await (const chunk of uploaded(file)) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new DomainError('PAYLOAD_TOO_LARGE', `A file has at most ${bytesMax} bytes`, { bytesMax });
    const seconds = (performance.now() - startedMs) / 1000;
    if (seconds > graceSeconds && bytes < seconds * bytesPerSecondMin) throw new DomainError('BAD_REQUEST', 'The upload is too slow');
    yield chunk;
  }
}

/** A broken upload is the client's affair; its error looks like that of a broken database connection. */
async function* uploaded(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* file;
  } catch (error) {
    throw new DomainError('BAD_REQUEST', 'The upload was broken off', {}, { cause: error });
  }
}

async function* stagedRows(
  items: ReturnType<typeof readImportFile>,
  found: FileCampaigns,
  report: ImportReport,
  tell: () => Promise<void>,
): AsyncGenerator<StagedRow[]> {
  for await (const item of items) {
    if (item.kind === 'opened') {
      report.reading = item.reading;
      continue;
    }
    const staged: StagedRow[] = [];
    for (const row of item.rows) {
      const taken = found.take(row);
      if ('ref' in taken) staged.push({ ref: taken.ref, row });
      else addRejected(report, [taken.rejected]);
    }
    addRejected(report, item.rejected);
    report.rows += staged.length;
    report.bytesRead = item.bytesRead;
    report.campaignsTotal = found.size;
    await tell();
    yield staged;
  }
}
