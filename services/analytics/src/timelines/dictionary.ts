export type TextKind = 'name' | 'page' | 'resource' | 'context' | 'shape';

/**
 * Numbers of `dictionary.kind`, and how many texts of a kind a workspace may have: codes of names and shapes stand in two bytes. `more` is
 * room beyond that. Of pages, resources and contexts it is for what stands in for the texts that are over the limit. Of names it is for those
 * that have a meaning of their own, and for those that ingest admitted: when one is freed before its event is stored, another one may have
 * taken its place, and the event was accepted all the same.
 */
export const textKinds: Readonly<Record<TextKind, { readonly number: number; readonly max: number; readonly more: number }>> = {
  name: { number: 1, max: 10_000, more: 20_000 },
  page: { number: 2, max: 50_000, more: 1_000 },
  resource: { number: 3, max: 50_000, more: 1_000 },
  context: { number: 4, max: 50_000, more: 1_000 },
  shape: { number: 5, max: 5_000, more: 0 },
};

/**
 * Names that are not the client's: a workspace that has as many of its own as it may still counts its page views and sessions. Their codes
 * stand for ever, so that questions may ask for them beforehand.
 */
export const reservedNames: ReadonlySet<string> = new Set(['page', 'screen', 'group', '$session_start', '$session_end']);

export interface Term {
  readonly workspace: number;
  readonly kind: TextKind;
  readonly text: string;
}

/** Texts of which codes are wanted, each once however often it is added: there are thousands in a batch, and few different ones. */
export class Terms implements Iterable<Term> {
  private readonly texts = new Map<number, Map<TextKind, Set<string>>>();

  add(workspace: number, kind: TextKind, text: string): void {
    if (text === '') return;
    const kinds = this.texts.get(workspace) ?? put(this.texts, workspace, new Map<TextKind, Set<string>>());
    (kinds.get(kind) ?? put(kinds, kind, new Set<string>())).add(text);
  }

  *[Symbol.iterator](): Iterator<Term> {
    for (const [workspace, kinds] of this.texts)
      for (const [kind, texts] of kinds) for (const text of texts) yield { workspace, kind, text };
  }
}

/** Codes of texts, by their terms. */
export class Codes {
  private readonly codes = new Map<number, Map<TextKind, Map<string, number>>>();

  /** `codes` in the order of the terms; null for one that has none. */
  constructor(terms: readonly Term[], codes: readonly (number | null)[]) {
    for (const [i, { workspace, kind, text }] of terms.entries()) {
      const code = codes[i] ?? null;
      if (code === null) continue;
      const kinds = this.codes.get(workspace) ?? put(this.codes, workspace, new Map<TextKind, Map<string, number>>());
      (kinds.get(kind) ?? put(kinds, kind, new Map<string, number>())).set(text, code);
    }
  }

  /** 0 for no text; undefined for one that has none, because its workspace has as many as it may. */
  of(workspace: number, kind: TextKind, text: string): number | undefined {
    return text === '' ? 0 : this.codes.get(workspace)?.get(kind)?.get(text);
  }
}

const put = <K, V>(map: Map<K, V>, key: K, value: V): V => {
  map.set(key, value);
  return value;
};
