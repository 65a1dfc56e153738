import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { Codes, type Term, textKinds } from './dictionary.js';
import { LRUCache } from 'lru-cache';
import { NumberCache } from './number-cache.js';
import { storable } from './stored-text.js';

/** Room beyond the limit, for what stands in for the texts that are over it. */
const standIns = 1_000;

/** Some 100,000 texts. */
const cacheBytesMax = 24_000_000;

/** Names that are not the client's: a workspace that has as many of its own as it may still counts its page views and sessions. */
const reservedNames = new Set(['page', 'screen', 'group', '$session_start', '$session_end']);

/** How long, and how many names are known to be refused, so that a flood of them is not a flood of questions. */
const refusedMs = 5_000;
const refusedMax = 20_000;

/** Small numbers for texts that come again and again. A code is in the database before anybody is told of it, and stands for ever. */
@Injectable()
export class Dictionary {
  private readonly cache = new NumberCache(cacheBytesMax);
  private readonly refused = new LRUCache<string, true>({ max: refusedMax, ttl: refusedMs });

  constructor(private readonly database: Database) {}

  /**
   * Codes of texts, new ones where there are none, up to the limits. Works in transactions of its own, so that nobody waits for the caller's
   * to end; texts must be storable and not empty.
   */
  async codes(terms: Iterable<Term>, areStandIns = false): Promise<Codes> {
    const wanted = [...terms];
    return new Codes(wanted, await this.cache.numbers(wanted, keyOf, (missing) => this.learnAll(missing, areStandIns)));
  }

  /** Which of these event names the workspace has, or has room for; the room is taken. */
  async admitEventNames(workspace: number, names: readonly string[]): Promise<ReadonlySet<string>> {
    const asked = names.filter((name) => !this.refused.has(`${workspace}:${name}`));
    const codes = await this.codes(asked.map((name) => ({ workspace, kind: 'name', text: storable(name) })));
    const admitted = new Set(asked.filter((name) => codes.of(workspace, 'name', storable(name)) !== undefined));
    for (const name of asked) if (!admitted.has(name)) this.refused.set(`${workspace}:${name}`, true);
    return admitted;
  }

  /** Those with more room are learned apart, because the limit is one of a whole call. */
  private async learnAll(terms: readonly Term[], areStandIns: boolean): Promise<readonly (number | null)[]> {
    const hasMore = (term: Term): boolean => areStandIns || (term.kind === 'name' && reservedNames.has(term.text));
    const more = terms.filter(hasMore);
    if (more.length === 0 || more.length === terms.length) return this.learn(terms, more.length === 0 ? 0 : standIns);
    const apart = new Map(more.map((term, i) => [term, i]));
    const [moreCodes, codes] = [
      await this.learn(more, standIns),
      await this.learn(
        terms.filter((term) => !apart.has(term)),
        0,
      ),
    ];
    let next = 0;
    return terms.map((term) => (apart.has(term) ? moreCodes[apart.get(term) as number] : codes[next++]) ?? null);
  }

  private async learn(terms: readonly Term[], roomMore: number): Promise<readonly (number | null)[]> {
    const { rows } = await this.database.beside.query<{ codes: (number | null)[] }>('select code_texts($1, $2, $3, $4) as codes', [
      terms.map(({ workspace }) => workspace),
      terms.map(({ kind }) => textKinds[kind].number),
      terms.map(({ text }) => text),
      terms.map(({ kind }) => textKinds[kind].max + roomMore),
    ]);
    return rows[0]?.codes ?? [];
  }
}

const keyOf = ({ workspace, kind, text }: Term): string => `${workspace}:${kind}:${text}`;
