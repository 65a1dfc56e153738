import { Injectable } from '@nestjs/common';
import { type CallContext, parseInput } from '@pca/service-kit';
import { Freshness } from '../freshness/freshness.service.js';
import { textSchema } from '../questions/limits.js';
import { WorkspaceStore } from '../workspaces/workspace.store.js';
import { SessionReader } from './session.reader.js';
import { type SessionType, sessionTypeOf } from './session.types.js';

@Injectable()
export class SessionService {
  constructor(
    private readonly sessions: SessionReader,
    private readonly workspaces: WorkspaceStore,
    private readonly freshness: Freshness,
  ) {}

  /** By the name that the client gave it, or by the id of a list. */
  async byId(call: CallContext, id: string, includeBots: boolean): Promise<SessionType | null> {
    const wanted = parseInput(textSchema, id, 'id');
    const { number } = await this.workspaces.get(call.workspaceId);
    const asOf = await this.freshness.asOf();
    const session = await this.sessions.byId(number, wanted, includeBots);
    return session ? sessionTypeOf(session, asOf) : null;
  }
}
