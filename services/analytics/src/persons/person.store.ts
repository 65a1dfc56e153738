import { Injectable } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { Database } from '@pca/service-kit';
import type pg from 'pg';
import { NumberCache } from '../timelines/number-cache.js';

/** Some 90,000 persons. */
const cacheBytesMax = 16_000_000;

/** An id that a client named. */
export interface Identity {
  readonly isKnown: boolean;
  readonly id: string;
}

/** A workspace as it was when a batch began: what is remembered of its ids holds until somebody is erased. */
export interface WorkspaceState {
  readonly number: number;
  readonly erasures: number;
}

export interface PersonTerm extends Identity {
  readonly workspace: WorkspaceState;
}

const personKey = ({ workspace, isKnown, id }: PersonTerm): string =>
  `${workspace.number}.${workspace.erasures}${isKnown ? 'u' : 'a'}${id}`;

/** The persons behind the ids that clients name. */
@Injectable()
export class PersonStore {
  private readonly cache = new NumberCache(cacheBytesMax);

  constructor(private readonly database: Database) {}

  /**
   * Numbers of persons, in the order of the terms; those that are new are made, in a transaction of its own. The caller holds the lock of
   * their workspaces. Ids must be storable.
   */
  async numbers(terms: readonly PersonTerm[]): Promise<readonly number[]> {
    const numbers = await this.cache.numbers(terms, personKey, (missing) => findOrMake(this.database.beside, missing));
    return everyNumber(numbers, terms.length);
  }
}

const findOrMake = async (pool: pg.Pool, terms: readonly PersonTerm[]): Promise<readonly (number | null)[]> => {
  const { rows } = await pool.query<{ numbers: (number | null)[] }>('select number_persons($1, $2, $3) as numbers', [
    terms.map(({ workspace }) => workspace.number),
    terms.map(({ isKnown }) => isKnown),
    terms.map(({ id }) => id),
  ]);
  return rows[0]?.numbers ?? [];
};

/** SERVICE_UNAVAILABLE when one is missing: somebody was deleted between the look and the answer, and the next attempt makes them anew. */
export const everyNumber = (numbers: readonly (number | null)[], count: number): readonly number[] => {
  if (numbers.length === count && numbers.every((number) => number !== null)) return numbers;
  throw new DomainError('SERVICE_UNAVAILABLE', 'An id was deleted while it was numbered');
};
