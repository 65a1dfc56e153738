import { setTimeout as sleep } from 'node:timers/promises';

/** Waits, or until the signal; never rejects. */
export const waitMs = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal }).catch(() => undefined);

/** Where a consumer is paused and delayed: everything that it begins passes here first. */
export class Gate {
  private delayMs = 0;
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
  }

  /** Whether to pass takes no time. */
  get isOpen(): boolean {
    return this.opened === undefined && this.delayMs === 0;
  }

  /** Resolves when the gate is open and the delay is over, or when the signal says so. */
  async pass(signal: AbortSignal): Promise<void> {
    while (this.opened && !signal.aborted) {
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
        void this.opened?.then(resolve);
      });
    }
    if (this.delayMs > 0 && !signal.aborted) await waitMs(this.delayMs, signal);
  }
}
