import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { from as copyFrom } from 'pg-copy-streams';
import { DomainError } from '@pca/errors';
import { type EntityManager, In } from 'typeorm';
import type { ImportRow } from '../import-file/import-item.js';
import { sumColumns } from '../performance/metrics-sums.js';
import type { LockedCampaign, RowSource } from '../performance/performance.store.js';
import type { FileCampaign } from './import-campaigns.js';
import { ImportJob, type ImportState } from './import-job.entity.js';
import type { ImportReport } from './import-report.js';

export interface StagedRow {
  ref: string;
  row: ImportRow;
}

/** A job whose heart has not beaten for this long has lost its process. */
const staleMinutes = 5;

@Injectable()
export class ImportStore {
  constructor(private readonly database: Database) {}

  async start(job: Pick<ImportJob, 'id' | 'workspaceId' | 'actor' | 'options' | 'report'>): Promise<void> {
    await this.database.manager.insert(ImportJob, {
      ...job,
      state: 'READING',
      createdAt: new Date(),
      heartbeatAt: new Date(),
      endedAt: null,
    });
  }

  /** Throws when the job is no longer open: whoever declared it failed has cleared its rows away. */
  async progress(id: string, state: ImportState, report: ImportReport): Promise<void> {
    const ended = state === 'DONE' || state === 'FAILED';
    const change = { state, report, heartbeatAt: new Date(), ...(ended && { endedAt: new Date() }) };
    const { affected } = await this.database.manager.update(ImportJob, { id, state: In(['READING', 'MERGING']) }, change);
    if (affected === 0) throw new DomainError('SERVICE_UNAVAILABLE', 'The import was given up because it stood still; send the file again');
  }

  /** Says that the job's process is alive, however long a step takes. */
  async heartbeat(id: string): Promise<void> {
    await this.database.manager.update(ImportJob, { id }, { heartbeatAt: new Date() });
  }

  async find(workspaceId: string, id: string): Promise<ImportJob | null> {
    return this.database.manager.findOneBy(ImportJob, { id, workspaceId });
  }

  /** Puts rows aside until the whole file is read: by COPY, because a file may hold millions. */
  async stage(importId: string, batches: AsyncIterable<StagedRow[]>): Promise<void> {
    const client = await this.database.pool.connect();
    let failure: Error | undefined;
    try {
      await client.query('set statement_timeout = 0');
      const sink = client.query(
        copyFrom(`copy import_row (import_id, campaign_ref, date, breakdown_key, ${sumColumns.join(', ')}) from stdin`),
      );
      await pipeline(copyText(importId, batches), sink);
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      // A connection that ended in the middle of COPY, or has no statement timeout, is not for others.
      client.release(failure ?? true);
    }
  }

  async unstage(importId: string): Promise<void> {
    await this.database.pool.query('delete from import_row where import_id = $1', [importId]);
  }

  /**
   * One merge at a time in a workspace: two imports that both create the same campaign would otherwise collide. Until the transaction ends.
   */
  async lockWorkspace(manager: EntityManager, workspaceId: string): Promise<void> {
    await manager.query('set local statement_timeout = 0');
    await manager.query(`select pg_advisory_xact_lock(hashtext('pca:import'), hashtext($1))`, [workspaceId]);
  }

  /** Live campaigns that a file's campaigns may be: by the platform's id, by our id, or, where the file gives none, by name. */
  async candidates(
    manager: EntityManager,
    workspaceId: string,
    campaigns: readonly FileCampaign[],
  ): Promise<(LockedCampaign & { ref: string })[]> {
    // Three joins, each by an index of its own: one join with "or" would read all campaigns of the platform for every part.
    const live = 'c.workspace_id = $1 and c.deleted_at is null and c.platform = f.platform';
    const columns = 'select f.ref, c.id, c.platform, c.currency from f join campaign c on';
    const uuid = "case when f.external_id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then f.external_id::uuid end";
    return manager.query(
      `with f as materialized (select * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
         as f (ref, platform, account, external_id, name))
       ${columns} ${live} and c.account = f.account and c.external_id = f.external_id
       union ${columns} ${live} and c.id = ${uuid}
       union ${columns} ${live} and c.account = f.account and lower(c.name) = lower(f.name) where f.external_id is null`,
      [
        workspaceId,
        campaigns.map((campaign) => campaign.ref),
        campaigns.map((campaign) => campaign.platform),
        campaigns.map((campaign) => campaign.account),
        campaigns.map((campaign) => campaign.externalId),
        campaigns.map((campaign) => campaign.name),
      ],
    );
  }

  /** The staged rows of some campaigns. Rows of the same campaign, day and breakdown are added up: the file tells them apart by nothing. */
  sourceOf(importId: string, campaigns: readonly { ref: string; id: string }[]): RowSource {
    const sums = sumColumns.map((column) => `sum(r.${column})::bigint as ${column}`).join(', ') + ', count(*) as n';
    return {
      sql: `select m.campaign_id, r.date, r.breakdown_key, ${sums} from unnest($2::text[], $3::uuid[]) as m (ref, campaign_id)
        join import_row r on r.import_id = $1 and r.campaign_ref = m.ref group by m.campaign_id, r.date, r.breakdown_key`,
      values: [importId, campaigns.map((campaign) => campaign.ref), campaigns.map((campaign) => campaign.id)],
    };
  }

  /** Declares jobs failed whose process died, and clears away what they had put aside and what ended jobs left behind. */
  async sweep(): Promise<void> {
    await this.database.pool.query(
      `update import_job set state = 'FAILED', ended_at = now() where state in ('READING', 'MERGING') and heartbeat_at < now() - interval '${staleMinutes} minutes'`,
    );
    await this.database.pool.query(
      `delete from import_row r using import_job j
       where r.import_id = j.id and j.state in ('DONE', 'FAILED') and j.ended_at > now() - interval '1 day'`,
    );
  }
}

/** Text of COPY: backslash, tab, newline and return are escaped, everything else is as it is. */
const escapeCopy = (text: string): string =>
  text.replace(/[\\\t\n\r]/g, (character) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' })[character] ?? '');

async function* copyText(importId: string, batches: AsyncIterable<StagedRow[]>): AsyncGenerator<string> {
  for await (const batch of batches) {
    let text = '';
    for (const { ref, row } of batch) {
      text += `${importId}\t${escapeCopy(ref)}\t${row.date}\t${escapeCopy(row.breakdownKey)}\t${row.impressions}\t${row.clicks}\t${row.spendMicros}\t${row.conversionsMicros}\t${row.conversionValueMicros}\n`;
    }
    if (text) yield text;
  }
}
