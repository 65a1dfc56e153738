import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { NumberCache } from '../timelines/number-cache.js';
import { everyNumber, type WorkspaceState } from './person.store.js';

/** Some 45,000 sessions: those that go on. */
const cacheBytesMax = 8_000_000;

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
  private readonly cache = new NumberCache(cacheBytesMax);

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
    const { rows } = await this.database.beside.query<{ numbers: (number | null)[] }>('select number_sessions($1, $2, $3) as numbers', [
      terms.map(({ workspace }) => workspace.number),
      terms.map(({ name }) => name),
      terms.map(({ person }) => person),
    ]);
    return everyNumber(rows[0]?.numbers ?? [], terms.length);
  }
}
