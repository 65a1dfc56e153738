import { Injectable } from '@nestjs/common';
import { behaviourLimits, makeEvent, userErased } from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { enqueue } from '@pca/outbox';
import { type CallContext, Database, parseInput, type Transaction } from '@pca/service-kit';
import pLimit from 'p-limit';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { identityDigest } from '../persons/identity-digest.js';
import { storable } from '../timelines/stored-text.js';
import { type Workspace, WorkspaceStore } from '../workspaces/workspace.store.js';
import { type Erasure, ErasureStore } from './erasure.store.js';

const idSchema = z.string().min(1).max(behaviourLimits.idLength);

@Injectable()
export class ErasureService {
  /** One after the other: each would hold a connection while it waits for the lock, and who has that may need one more. */
  private readonly oneByOne = pLimit(1);

  constructor(
    private readonly database: Database,
    private readonly workspaces: WorkspaceStore,
    private readonly store: ErasureStore,
  ) {}

  /**
   * Forgets the person who has this id, as a user or else as an anonymous one, under all of their ids. When it answers, nothing of them is to
   * be found any more, and what of them is still on its way stays out; their events go in the background. A repeat answers with the request
   * that there was. NOT_FOUND when the workspace has stored nothing of this id; SERVICE_UNAVAILABLE when writers hold it up for long.
   */
  async request(call: CallContext, id: string): Promise<Erasure> {
    const externalId = storable(parseInput(idSchema, id, 'id'));
    const workspace = await this.workspaces.get(call.workspaceId);
    return this.oneByOne(() =>
      this.database.transaction((transaction) => this.eraseOrRepeat(transaction, call, { workspace, externalId })),
    );
  }

  find(call: CallContext, id: string): Promise<Erasure | null> {
    return z.uuid().safeParse(id).success ? this.store.find(call.workspaceId, id) : Promise.resolve(null);
  }

  private async eraseOrRepeat(
    transaction: Transaction,
    call: CallContext,
    { workspace, externalId }: { workspace: Workspace; externalId: string },
  ): Promise<Erasure> {
    const { number } = workspace;
    const erasedAt = await this.store.lockAlone(transaction, number);
    const canonical = await this.store.canonicalOf(transaction, number, externalId);
    if (canonical !== undefined) return this.erase(transaction, call, { workspace: number, canonical, erasedAt });
    const digests = [true, false].map((isKnown) => identityDigest(workspace, isKnown, externalId));
    const earlier = await this.store.byDigests(transaction, number, digests);
    if (!earlier) throw new DomainError('NOT_FOUND', 'Nobody in this workspace has this id');
    return earlier;
  }

  private async erase(
    transaction: Transaction,
    call: CallContext,
    person: { workspace: number; canonical: number; erasedAt: Date },
  ): Promise<Erasure> {
    const id = uuidv7();
    for (;;) {
      const ids = await this.store.takeIds(transaction, { erasure: id, ...person });
      if (ids.length === 0) break;
      const those = (isKnown: boolean): string[] => ids.filter((each) => each.isKnown === isKnown).map((each) => each.id);
      const payload = { erasureId: id, userIds: those(true), anonymousIds: those(false), erasedAt: person.erasedAt.toISOString() };
      await enqueue(transaction, [makeEvent(userErased, payload, call)]);
    }
    return this.store.add(transaction, { id, workspace: person.workspace, requestedBy: call.actor });
  }
}
