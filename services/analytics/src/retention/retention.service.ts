import { Injectable } from '@nestjs/common';
import { type CallContext, Database, parseInput } from '@pca/service-kit';
import { z } from 'zod';
import { WorkspaceStore } from '../workspaces/workspace.store.js';

export const retentionDaysMax = 3_650;
const daysSchema = z.int().min(1).max(retentionDaysMax);

@Injectable()
export class RetentionService {
  constructor(
    private readonly database: Database,
    private readonly workspaces: WorkspaceStore,
  ) {}

  /** Whole days for which behaviour events of the caller's workspace are kept. */
  async get(call: CallContext): Promise<number> {
    const { number } = await this.workspaces.get(call.workspaceId);
    const { rows } = await this.database.pool.query<{ days: number }>('select retention_days as days from workspace where number = $1', [
      number,
    ]);
    return rows[0]?.days ?? retentionDaysMax;
  }

  /** The next sweep, within a minute or so, begins to delete what is older now. Throws BAD_USER_INPUT for less than 1 and more than 3,650. */
  async set(call: CallContext, days: number): Promise<number> {
    const wished = parseInput(daysSchema, days, 'days');
    const { number } = await this.workspaces.get(call.workspaceId);
    await this.database.pool.query(
      'update workspace set retention_days = $2, retention_swept_on = null where number = $1 and retention_days <> $2',
      [number, wished],
    );
    this.workspaces.forget(call.workspaceId);
    return wished;
  }
}
