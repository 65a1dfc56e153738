/** A named condition of readiness; it throws, or takes over a second, when the service cannot do its work. */
export interface ReadinessCheck {
  readonly name: string;
  check(): Promise<unknown>;
}

const checkMsMax = 1_000;

export class Health {
  private readonly checks: ReadinessCheck[] = [];
  private readonly degradedNames: (() => Promise<readonly string[]>)[] = [];
  private draining = false;
  private started = false;

  add(check: ReadinessCheck): void {
    this.checks.push(check);
  }

  /** Names of what is missing without which the service still does its work; they are listed beside the readiness. */
  addDegraded(names: () => Promise<readonly string[]>): void {
    this.degradedNames.push(names);
  }

  async degraded(): Promise<readonly string[]> {
    return (await Promise.all(this.degradedNames.map((names) => names()))).flat();
  }

  /** The same of a condition by its name. */
  addOptional({ name, check }: ReadinessCheck): void {
    this.addDegraded(async () => ((await passes(check)) ? [] : [name]));
  }

  /** From here on readiness is what the checks say. */
  start(): void {
    this.started = true;
  }

  /** From here on the service is not ready, so that nobody sends it new work. */
  drain(): void {
    this.draining = true;
  }

  get isDraining(): boolean {
    return this.draining;
  }

  /** Names of what is not ready; empty means ready. */
  async notReady(): Promise<string[]> {
    if (this.draining) return ['shutting down'];
    if (!this.started) return ['starting'];
    const names = await Promise.all(this.checks.map(async ({ name, check }) => ((await passes(check)) ? [] : [name])));
    return names.flat();
  }
}

const passes = async (check: () => Promise<unknown>): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), checkMsMax);
  });
  try {
    return await Promise.race([
      check().then(
        () => true,
        () => false,
      ),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
};
