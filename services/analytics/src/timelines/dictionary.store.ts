import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { Codes, reservedNames, type Term, textKinds } from './dictionary.js';
import { LRUCache } from 'lru-cache';
import { NumberCache } from './number-cache.js';
import { storable } from './stored-text.js';
import type { Workspace } from '../workspaces/workspace.store.js';

/** Some 100,000 texts. */
const cacheBytesMax = 24_000_000;

/** How long, and how many names are known to be refused, so that a flood of them is not a flood of questions. */
const refusedMs = 5_000;
const refusedMax = 20_000;

/**
 * Small numbers for texts that come again and again. A code is in the database before anybody is told of it. One to which no event refers is
 * freed and may stand for another text then (`TextSweep`), so it is good only while its workspace's lock is held, and only as long as no text
 * was freed: what is remembered here is remembered by the count of that.
 */
@Injectable()
export class Dictionary {
  private readonly cache = new NumberCache(cacheBytesMax);
  private readonly refused = new LRUCache<string, true>({ max: refusedMax, ttl: refusedMs });

  constructor(private readonly database: Database) {}

  /**
   * Codes of texts, new ones where there are none, up to the limits; `hasMore`: and up to the room beyond them. Works in transactions of its
   * own, so that nobody waits for the caller's to end. The caller holds the lock of the workspaces, and says how often texts of each were
   * freed when it had it. Texts must be storable and not empty.
   */
  async codes(terms: Iterable<Term>, textsFreed: ReadonlyMap<number, number>, hasMore = false): Promise<Codes> {
    const wanted = [...terms];
    const keyOf = ({ workspace, kind, text }: Term): string => `${workspace}.${textsFreed.get(workspace) ?? 0}:${kind}:${text}`;
    return new Codes(wanted, await this.cache.numbers(wanted, keyOf, (missing) => this.learnAll(missing, hasMore)));
  }

  /**
   * Which of these event names the workspace has, or has room for; the room is taken. Without a lock, and by a count of freed texts that may
   * be seconds old: a name may be freed before its event is stored, which is why what was admitted has more room then.
   */
  async admitEventNames(
    { number, textsFreed }: Pick<Workspace, 'number' | 'textsFreed'>,
    names: readonly string[],
  ): Promise<ReadonlySet<string>> {
    const asked = names.filter((name) => !this.refused.has(`${number}:${name}`));
    const terms = asked.map((name): Term => ({ workspace: number, kind: 'name', text: storable(name) }));
    const codes = await this.codes(terms, new Map([[number, textsFreed]]));
    const admitted = new Set(asked.filter((name) => codes.of(number, 'name', storable(name)) !== undefined));
    for (const name of asked) if (!admitted.has(name)) this.refused.set(`${number}:${name}`, true);
    return admitted;
  }

  /** Those with more room are learned apart, because the limit is one of a whole call. */
  private async learnAll(terms: readonly Term[], allHaveMore: boolean): Promise<readonly (number | null)[]> {
    const hasMore = (term: Term): boolean => allHaveMore || (term.kind === 'name' && reservedNames.has(term.text));
    const more = terms.filter(hasMore);
    if (more.length === 0 || more.length === terms.length) return this.learn(terms, more.length > 0);
    const apart = new Map(more.map((term, i) => [term, i]));
    const [moreCodes, codes] = [
      await this.learn(more, true),
      await this.learn(
        terms.filter((term) => !apart.has(term)),
        false,
      ),
    ];
    let next = 0;
    return terms.map((term) => (apart.has(term) ? moreCodes[apart.get(term) as number] : codes[next++]) ?? null);
  }

  private async learn(terms: readonly Term[], hasMore: boolean): Promise<readonly (number | null)[]> {
    const { rows } = await this.database.beside.query<{ codes: (number | null)[] }>('select code_texts($1, $2, $3, $4) as codes', [
      terms.map(({ workspace }) => workspace),
      terms.map(({ kind }) => textKinds[kind].number),
      terms.map(({ text }) => text),
      terms.map(({ kind }) => textKinds[kind].max + (hasMore ? textKinds[kind].more : 0)),
    ]);
    return rows[0]?.codes ?? [];
  }
}
