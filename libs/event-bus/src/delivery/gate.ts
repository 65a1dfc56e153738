import { setTimeout as sleep } from 'node:timers/promises';

/** Waits, or until the signal; never rejects. */
export const waitMs = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal }).catch(() => undefined);

/** Where a consumer is paused and delayed: everything that it begins passes here first. */
export class Gate {
  private delayMs = 0;
  private changed = new AbortController();
  private opened: Promise<void> | undefined;
  private open: () => void = () => undefined;

  pause(): void {
    this.opened ??= new Promise((resolve) => (this.open = resolve));
  }

  resume(): void {
    this.open();
    this.opened = undefined;
  }

  delay(ms: number): void {
    this.delayMs = ms;
    this.changed.abort();
    this.changed = new AbortController();
  }

  /** Whether to pass takes no time. */
  get isOpen(): boolean {
    return this.opened === undefined && this.delayMs === 0;
  }

  /** Resolves when the gate is open and the delay, as it is by then, is over, or when the signal says so. */
  async pass(signal: AbortSignal): Promise<void> {
    const began = performance.now();
    while (!signal.aborted) {
      const leftMs = this.delayMs - (performance.now() - began);
      if (this.opened) await this.untilOpened(this.opened, signal);
      else if (leftMs > 0) await waitMs(leftMs, AbortSignal.any([signal, this.changed.signal]));
      else return;
    }
  }

  private async untilOpened(opened: Promise<void>, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { signal: stop.signal }));
    await Promise.race([opened, aborted]);
    stop.abort();
  }
}
