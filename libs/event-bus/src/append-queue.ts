import { setImmediate } from 'node:timers/promises';
import { DomainError } from '@pca/errors';

export interface AppendQueueLimits {
  readonly batchMessagesMax: number;
  readonly batchBytesMax: number;
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
}

interface Call<T> {
  readonly items: readonly T[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Coalesces concurrent calls into one append at a time: what arrives while an append is under way makes up the next one, so that the cost
 * of a commit is shared exactly when there is load and a lone call waits for nobody. A call is never split between two appends.
 */
export class AppendQueue<T> {
  private calls: Call<T>[] = [];
  private messages = 0;
  private bytes = 0;
  private running: Promise<void> | undefined;

  constructor(
    private readonly append: (items: readonly T[]) => Promise<void>,
    private readonly limits: AppendQueueLimits,
  ) {}

  /**
   * Resolves when the append with these items has. Rejects at once, with nothing queued, with PAYLOAD_TOO_LARGE when the call can not fit
   * one append and with SERVICE_UNAVAILABLE when the queue is full.
   */
  push(items: readonly T[], bytes: number): Promise<void> {
    const { batchMessagesMax, batchBytesMax, queueMessagesMax, queueBytesMax } = this.limits;
    if (items.length > batchMessagesMax || bytes > batchBytesMax) {
      const message = `One call publishes at most ${batchMessagesMax} messages and ${batchBytesMax} bytes, not ${items.length}, ${bytes}`;
      const details = { messages: items.length, bytes, messagesMax: batchMessagesMax, bytesMax: batchBytesMax };
      return Promise.reject(new DomainError('PAYLOAD_TOO_LARGE', message, details));
    }
    if (this.messages + items.length > queueMessagesMax || this.bytes + bytes > queueBytesMax) {
      const message = `${this.messages} messages are waiting for the event bus; it takes no more for now`;
      return Promise.reject(new DomainError('SERVICE_UNAVAILABLE', message, { messagesWaiting: this.messages, bytesWaiting: this.bytes }));
    }
    this.messages += items.length;
    this.bytes += bytes;
    return new Promise((resolve, reject) => {
      this.calls.push({ items, bytes, resolve, reject });
      this.running ??= this.run();
    });
  }

  /** Resolves when everything pushed so far has settled. */
  async drain(): Promise<void> {
    while (this.running) await this.running;
  }

  private async run(): Promise<void> {
    for (let batch = this.takeBatch(); batch.length > 0; batch = this.takeBatch()) {
      try {
        await this.append(batch.flatMap((call) => call.items));
        for (const call of batch) this.settle(call).resolve();
        // Whoever calls again as soon as he is answered gets into the very next append, in place of the one after it.
        await setImmediate();
      } catch (error) {
        // What waits behind a failure would overtake it once its caller tries again, so all of it fails with it.
        for (const call of [...batch, ...this.calls.splice(0)]) this.settle(call).reject(error);
      }
    }
    // In the same tick as the look that found nothing: a call that comes in between would wait for ever.
    this.running = undefined;
  }

  private takeBatch(): readonly Call<T>[] {
    let count = 0;
    let messages = 0;
    let bytes = 0;
    for (const call of this.calls) {
      messages += call.items.length;
      bytes += call.bytes;
      if (messages > this.limits.batchMessagesMax || bytes > this.limits.batchBytesMax) break;
      count += 1;
    }
    return this.calls.splice(0, count);
  }

  private settle(call: Call<T>): Call<T> {
    this.messages -= call.items.length;
    this.bytes -= call.bytes;
    return call;
  }
}
