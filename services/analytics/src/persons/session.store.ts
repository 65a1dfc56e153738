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

const sessionKey = ({ workspace, name }: SessionTerm): string => `${workspace.number}.${workspace.erasures}:${name}`;

/** The sessions that clients name. Each belongs to the person that came with it first. */
@Injectable()
export class SessionStore {
  private readonly cache = new NumberCache(cacheBytesMax);

  constructor(private readonly database: Database) {}

  /**
   * Numbers of sessions, in the order of the terms, 0 for an empty name; those that are new are made, in a transaction of its own. The caller
   * holds the lock of their workspaces. Names must be storable.
   */
  async numbers(terms: readonly SessionTerm[]): Promise<readonly number[]> {
    const named = terms.filter(({ name }) => name !== '');
    const numbers = everyNumber(await this.cache.numbers(named, sessionKey, (missing) => this.findOrMake(missing)), named.length);
    if (named.length === terms.length) return numbers;
    let next = 0;
    return terms.map(({ name }) => (name === '' ? 0 : (numbers[next++] as number)));
  }

  private async findOrMake(terms: readonly SessionTerm[]): Promise<readonly (number | null)[]> {
    const { rows } = await this.database.beside.query<{ numbers: (number | null)[] }>('select number_sessions($1, $2, $3) as numbers', [
      terms.map(({ workspace }) => workspace.number),
      terms.map(({ name }) => name),
      terms.map(({ person }) => person),
    ]);
    return rows[0]?.numbers ?? [];
  }
}
