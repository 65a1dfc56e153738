export type TextKind = 'name' | 'page' | 'resource' | 'context' | 'shape';

/** Numbers of `dictionary.kind`, and how many texts of a kind a workspace may have: codes of names and shapes stand in two bytes. */
export const textKinds: Readonly<Record<TextKind, { readonly number: number; readonly max: number }>> = {
  name: { number: 1, max: 10_000 },
  page: { number: 2, max: 50_000 },
  resource: { number: 3, max: 50_000 },
  context: { number: 4, max: 50_000 },
  shape: { number: 5, max: 5_000 },
};

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
    return text === '' ? 0 : this.codes.get(termKey(workspace, kind, text));
  }
}

/** What a term is known by in memory. */
export const termKey = (workspace: number, kind: TextKind, text: string): string => `${workspace}:${kind}:${text}`;
