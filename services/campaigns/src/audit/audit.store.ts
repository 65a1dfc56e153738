import { Injectable } from '@nestjs/common';
import { type CallContext, Database } from '@pca/service-kit';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { AuditEntry } from './audit.entity.js';

/** What is shown of an entry. */
export type AuditLine = Pick<AuditEntry, 'id' | 'action' | 'actor' | 'at' | 'changes'>;

@Injectable()
export class AuditStore {
  constructor(private readonly database: Database) {}

  /** Inside the transaction of the write that it tells of. */
  async add(
    manager: EntityManager,
    call: CallContext,
    entry: Pick<AuditEntry, 'entityType' | 'entityId' | 'action' | 'changes'>,
  ): Promise<void> {
    const { workspaceId, actor, correlationId } = call;
    await manager.insert(AuditEntry, { id: uuidv7(), workspaceId, actor, correlationId, at: new Date(), ...entry });
  }

  /** The newest `limit` of each entity, the newest first, in the order of `entityIds`. */
  async list(call: CallContext, entityIds: readonly string[], limit: number): Promise<AuditLine[][]> {
    const { rows } = await this.database.pool.query<AuditLine & { entity_id: string }>(
      `select e.entity_id, e.id, e.action, e.actor, e.at, e.changes from unnest($2::text[]) as wanted (id)
       cross join lateral (select * from audit_entry where workspace_id = $1 and entity_id = wanted.id order by id desc limit $3) e
       order by e.id desc`,
      [call.workspaceId, entityIds, limit],
    );
    const byEntity = Map.groupBy(rows, (row) => row.entity_id);
    return entityIds.map((id) => byEntity.get(id) ?? []);
  }
}
