import { Injectable } from '@nestjs/common';
import { type CallContext, Database } from '@pca/service-kit';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { AuditEntry } from './audit.entity.js';

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

  /** The newest first. */
  list(call: CallContext, entityId: string, limit: number): Promise<AuditEntry[]> {
    return this.database.manager.find(AuditEntry, {
      where: { workspaceId: call.workspaceId, entityId },
      order: { id: 'DESC' },
      take: limit,
    });
  }
}
