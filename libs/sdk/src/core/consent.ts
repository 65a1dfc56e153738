import type { Store } from './store.js';

export interface ConsentRules {
  /** Silence means no. */
  required: boolean;
  /** The person objects in general: do-not-track, Global Privacy Control. What the person says to this site counts more. */
  objection: boolean;
}

/** Whether events may be taken. */
export class Consent {
  readonly #store: Store;
  readonly #rules: ConsentRules;

  constructor(store: Store, rules: ConsentRules) {
    this.#store = store;
    this.#rules = rules;
  }

  /** Without it nothing stays here, whoever wrote it: the person may have objected in another tab, or since the last visit. */
  given(): boolean {
    const said = this.#store.read('consent');
    const given = said ? said === 'in' : !this.#rules.required && !this.#rules.objection;
    if (!given) this.#store.clear('consent');
    return given;
  }

  optIn(): void {
    this.#store.write('consent', 'in');
  }

  /** Where silence already means no, not even the refusal is stored. */
  optOut(): void {
    this.#store.write('consent', this.#rules.required ? undefined : 'out');
    this.#store.clear('consent');
  }
}
