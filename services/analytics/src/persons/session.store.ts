import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { NumberCache } from '../timelines/number-cache.js';
import type { WorkspaceState } from './person.store.js';

const charactersMax = 16_000_000;

export interface SessionTerm {
  readonly workspace: WorkspaceState;
  readonly name: string;
  /** Whose it is when it is new. */
  readonly person: number;
}

export const sessionKey = ({ workspace, name }: Pick<SessionTerm, 'workspace' | 'name'>): string =>
  `${workspace.number}.${workspace.erasures}:${name}`;

/** The sessions that clients name. Each belongs to the person that came with it first. */
@Injectable()
export class SessionStore {
  private readonly cache = new NumberCache(charactersMax);

  constructor(private readonly database: Database) {}

  /**
   * Numbers of sessions by `sessionKey`; those that are new are made, in a transaction of its own. The caller holds the lock of their
   * workspaces. Names must be storable.
   */
  async numbers(terms: Iterable<SessionTerm>): Promise<ReadonlyMap<string, number>> {
    const wanted = new Map<string, SessionTerm>();
    for (const term of terms) {
      const key = sessionKey(term);
      if (!wanted.has(key)) wanted.set(key, term);
    }
    return this.cache.numbers(wanted, (missing) => this.findOrMake(missing));
  }

  private async findOrMake(terms: readonly SessionTerm[]): Promise<readonly number[]> {
    const { rows } = await this.database.pool.query<{ numbers: number[] }>('select number_sessions($1, $2, $3) as numbers', [
      terms.map(({ workspace }) => workspace.number),
      terms.map(({ name }) => name),
      terms.map(({ person }) => person),
    ]);
    return rows[0]?.numbers ?? [];
  }
}
