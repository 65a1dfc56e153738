import { Injectable } from '@nestjs/common';
import { makeEvent, workspaceUpdated } from '@pca/contracts';
import { enqueue } from '@pca/outbox';
import { type CallContext, Database, parseInput } from '@pca/service-kit';
import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import { z } from 'zod';
import { AuditStore } from '../audit/audit.store.js';
import { currencySchema, textSchema } from '../campaigns/campaign-input.js';
import { isTimeZone } from '../performance/series.js';
import { ipPolicies, newWorkspace, Workspace } from './workspace.entity.js';

const updateSchema = z.strictObject({
  name: textSchema(128).optional(),
  timeZone: z.string().max(64).refine(isTimeZone, 'must be an IANA time zone, such as Europe/Berlin').optional(),
  firstDayOfWeek: z.int().min(1).max(7).optional(),
  reportingCurrency: currencySchema.optional(),
  ipPolicy: z.enum(ipPolicies).optional(),
});
export type UpdateWorkspace = z.input<typeof updateSchema>;

@Injectable()
export class WorkspaceService {
  /** Workspaces known to be stored; settings are always read, so that a change is seen at once. */
  private readonly stored = new LRUCache<string, true>({ max: 10_000 });

  constructor(
    private readonly database: Database,
    private readonly audit: AuditStore,
  ) {}

  async get(call: CallContext): Promise<Workspace> {
    return (await this.database.manager.findOneBy(Workspace, { id: call.workspaceId })) ?? newWorkspace(call.workspaceId);
  }

  /** Makes the workspace of the token on its first write, and tells the others, in the caller's transaction. */
  async ensure(manager: EntityManager, call: CallContext): Promise<void> {
    if (this.stored.has(call.workspaceId)) return;
    const workspace = newWorkspace(call.workspaceId);
    const made = await manager.createQueryBuilder().insert().into(Workspace).values(workspace).orIgnore().returning('id').execute();
    if ((made.raw as unknown[]).length > 0) await enqueue(manager, [makeEvent(workspaceUpdated, { workspace }, call)]);
    // Only a workspace that was there before is surely committed; this transaction may still roll back.
    else this.stored.set(call.workspaceId, true);
  }

  /** Settings of the caller's workspace. An update that changes nothing is not told to anybody. */
  async update(call: CallContext, input: UpdateWorkspace): Promise<Workspace> {
    const wished = parseInput(updateSchema, input);
    return this.database.transaction(async (manager) => {
      await this.ensure(manager, call);
      const before = await manager.findOneOrFail(Workspace, { where: { id: call.workspaceId }, lock: { mode: 'pessimistic_write' } });
      const wanted = Object.entries(wished) as [keyof Workspace, never][];
      const changed = wanted.filter(([name, value]) => value !== undefined && before[name] !== value);
      if (changed.length === 0) return before;
      const after: Workspace = { ...before, ...Object.fromEntries(changed) };
      await manager.update(Workspace, { id: before.id }, Object.fromEntries(changed));
      const changes = Object.fromEntries(changed.map(([name, value]) => [name, { before: before[name], after: value }]));
      await this.audit.add(manager, call, { entityType: 'workspace', entityId: before.id, action: 'updated', changes });
      await enqueue(manager, [makeEvent(workspaceUpdated, { workspace: { ...after } }, call)]);
      return after;
    });
  }
}
