import type { Consumer } from './consumer.js';
import { type Begun, type Cursor, PartitionDelivery, type Received } from './partition-delivery.js';

export interface Place {
  readonly topic: string;
  readonly partition: number;
}

/** One partition of one member: what was fetched for it, and its delivery, until it is stopped. */
export class PartitionWorker<P extends Place = Place> {
  /** The offset from which to fetch next. */
  fetchFrom: number;
  /** Whether something may be there to be fetched. */
  mayHaveMore = true;
  private waiting: Received[] | undefined;
  private readonly stopped = new AbortController();
  private readonly delivery: PartitionDelivery;
  private wake: () => void = () => undefined;

  /** `onHungry` is told whenever there is room for another fetch. */
  constructor(
    readonly place: P,
    position: number,
    begun: Begun | undefined,
    cursor: Cursor,
    consumer: Consumer,
    private readonly onHungry: () => void,
  ) {
    this.fetchFrom = position;
    this.delivery = new PartitionDelivery(place, position, begun, cursor, consumer);
  }

  get position(): number {
    return this.delivery.position;
  }

  get isHungry(): boolean {
    return this.waiting === undefined && !this.stopped.signal.aborted;
  }

  offer(received: Received[]): void {
    this.waiting = received;
    this.wake();
  }

  /** Begins nothing new; `run` then resolves when what is under way has ended and its position is kept. */
  stop(): void {
    this.stopped.abort();
    this.wake();
  }

  /** Delivers until stopped. Rejects when a position cannot be kept; the partition is not this member's any more. */
  async run(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      const received = this.waiting;
      if (received) {
        this.waiting = undefined;
        // The next fetch goes on beside the delivery of this one.
        this.onHungry();
        await this.delivery.deliver(received, signal);
      } else {
        await this.delivery.settle();
        await this.offered();
      }
    }
    await this.delivery.settle();
  }

  private async offered(): Promise<void> {
    if (this.waiting || this.stopped.signal.aborted) return;
    await new Promise<void>((resolve) => (this.wake = resolve));
  }
}
