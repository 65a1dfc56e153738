/**
 * A place where calls pass and a later fault may be put in their way: it may wait, or throw instead of the call.
 * With no hook a seam costs one comparison.
 */
export class Seam<Call> {
  private hooks: readonly ((call: Call) => Promise<void> | void)[] = [];

  get active(): boolean {
    return this.hooks.length > 0;
  }

  /** Returns how to take the hook out again. */
  use(hook: (call: Call) => Promise<void> | void): () => void {
    this.hooks = [...this.hooks, hook];
    return () => {
      this.hooks = this.hooks.filter((other) => other !== hook);
    };
  }

  async pass(call: Call): Promise<void> {
    for (const hook of this.hooks) await hook(call);
  }
}

/** The four places of a service: what comes in, what it asks its database, whom it calls, and what it consumes. */
export const seams = {
  inbound: new Seam<{ method: string; url: string }>(),
  query: new Seam<{ text: string }>(),
  outgoing: new Seam<{ method: string; origin: string; path: string }>(),
  consumer: new Seam<{ topic: string; group: string }>(),
};
