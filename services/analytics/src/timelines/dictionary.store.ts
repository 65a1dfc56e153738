import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { Codes, type Term, termKey, textKinds } from './dictionary.js';
import { NumberCache } from './number-cache.js';
import { storable } from './stored-text.js';

/** Room beyond the limit, for what stands in for the texts that are over it. */
const standIns = 1_000;

const charactersMax = 32_000_000;

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
    for (const term of terms) if (term.text !== '') wanted.set(termKey(term.workspace, term.kind, term.text), term);
    return new Codes(await this.cache.numbers(wanted, (missing) => this.learn(missing, areStandIns ? standIns : 0)));
  }

  /** Which of these event names the workspace has, or has room for; the room is taken. */
  async admitEventNames(workspace: number, names: readonly string[]): Promise<ReadonlySet<string>> {
    const codes = await this.codes(names.map((name) => ({ workspace, kind: 'name', text: storable(name) })));
    return new Set(names.filter((name) => codes.of(workspace, 'name', storable(name)) !== undefined));
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
