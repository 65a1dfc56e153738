import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { NumberCache } from './number-cache.js';

export type TextKind = 'name' | 'page' | 'resource' | 'context' | 'shape';

/** Numbers of `dictionary.kind`, and how many texts of a kind a workspace may have: codes of names and shapes stand in two bytes. */
export const textKinds: Readonly<Record<TextKind, { readonly number: number; readonly max: number }>> = {
  name: { number: 1, max: 10_000 },
  page: { number: 2, max: 50_000 },
  resource: { number: 3, max: 50_000 },
  context: { number: 4, max: 50_000 },
  shape: { number: 5, max: 5_000 },
};

/** Room beyond the limit, for what stands in for the texts that are over it. */
const standIns = 1_000;

const charactersMax = 32_000_000;

export interface Term {
  readonly workspace: number;
  readonly kind: TextKind;
  readonly text: string;
}

/** Codes of texts, by their terms. */
export class Codes {
  constructor(private readonly codes: ReadonlyMap<string, number>) {}

  /** 0 for no text; undefined for one that has none, because its workspace has as many as it may. */
  of(workspace: number, kind: TextKind, text: string): number | undefined {
    return text === '' ? 0 : this.codes.get(keyOf(workspace, kind, text));
  }
}

/** Small numbers for texts that come again and again. A code is in the database before anybody is told of it, and stands for ever. */
@Injectable()
export class Dictionary {
  private readonly cache = new NumberCache(charactersMax);

  constructor(private readonly database: Database) {}

  /**
   * Codes of texts, new ones where there are none, up to the limits. Works in transactions of its own, so that nobody waits for the caller's
   * to end; texts must be storable.
   */
  async codes(terms: Iterable<Term>, areStandIns = false): Promise<Codes> {
    const wanted = new Map<string, Term>();
    for (const term of terms) if (term.text !== '') wanted.set(keyOf(term.workspace, term.kind, term.text), term);
    return new Codes(await this.cache.numbers(wanted, (missing) => this.learn(missing, areStandIns ? standIns : 0)));
  }

  /** Which of these event names the workspace has, or has room for; the room is taken. */
  async admitEventNames(workspace: number, names: readonly string[]): Promise<ReadonlySet<string>> {
    const codes = await this.codes(names.map((text) => ({ workspace, kind: 'name', text })));
    return new Set(names.filter((name) => codes.of(workspace, 'name', name) !== undefined));
  }

  private async learn(terms: readonly Term[], roomMore: number): Promise<readonly (number | null)[]> {
    const { rows } = await this.database.pool.query<{ codes: (number | null)[] }>('select code_texts($1, $2, $3, $4) as codes', [
      terms.map(({ workspace }) => workspace),
      terms.map(({ kind }) => textKinds[kind].number),
      terms.map(({ text }) => text),
      terms.map(({ kind }) => textKinds[kind].max + roomMore),
    ]);
    return rows[0]?.codes ?? [];
  }
}

const keyOf = (workspace: number, kind: TextKind, text: string): string => `${workspace}:${kind}:${text}`;
