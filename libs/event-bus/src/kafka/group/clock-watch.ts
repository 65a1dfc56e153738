const lookMs = 500;
const toleratedMs = 1_000;

/** Watches the clock of the process, which kafkajs counts its heartbeats by: put back by an hour, a member would say nothing for an hour. */
export class ClockWatch {
  /** Resolves with the reason when the clock was put back. */
  readonly putBack: Promise<Error>;
  private readonly looking: NodeJS.Timeout;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<Error>();
    let ahead = Date.now() - performance.now();
    this.putBack = promise;
    this.looking = setInterval(() => {
      const now = Date.now() - performance.now();
      if (now < ahead - toleratedMs) resolve(new Error('The clock was put back, and heartbeats would wait until it has caught up'));
      ahead = now;
    }, lookMs).unref();
  }

  close(): void {
    clearInterval(this.looking);
  }
}
