import type { Consumer } from './consumer.js';
import { waitMs } from './gate.js';
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
  /** How many messages are being delivered. */
  private delivering = 0;
  private readonly stopped = new AbortController();
  private readonly delivery: PartitionDelivery;
  private wake: () => void = () => undefined;

  /**
   * `onHungry` is told whenever there is room for another fetch, and answers whether an offer will follow in any case, an empty one perhaps:
   * then the position is kept together with the beginning of that, and otherwise by itself.
   */
  constructor(
    readonly place: P,
    position: number,
    begun: Begun | undefined,
    cursor: Cursor,
    private readonly consumer: Consumer,
    private readonly onHungry: () => boolean | void,
  ) {
    this.fetchFrom = position;
    this.delivery = new PartitionDelivery(place, position, begun, cursor, consumer);
  }

  get position(): number {
    return this.delivery.position;
  }

  /**
   * Whether to fetch for it. Beside a delivery only where that is a whole batch, as when it catches up: small ones are better fetched
   * together with those of the other partitions.
   */
  get isHungry(): boolean {
    const hasRoom = this.delivering === 0 || this.delivering >= this.consumer.batchSize;
    return this.waiting === undefined && hasRoom && !this.stopped.signal.aborted;
  }

  /** What a fetch brought, perhaps nothing; only while it is hungry, or what was offered before would be lost. */
  offer(received: Received[]): void {
    if (this.waiting) throw new Error('Something was offered to a partition before it had taken what was there');
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
      const received = this.waiting ?? [];
      this.waiting = undefined;
      this.delivering = received.length;
      const isOfferSure = this.isHungry && this.onHungry();
      if (received.length > 0) await this.deliver(received);
      else {
        if (!isOfferSure) await this.delivery.settle();
        await this.offered();
      }
    }
    await this.delivery.settle();
  }

  /** What comes while it lingers is fetched after that, all of it together: it is not hungry until then. */
  private async deliver(received: readonly Received[]): Promise<void> {
    const { signal } = this.stopped;
    const began = performance.now();
    await this.delivery.deliver(received, signal);
    if (received.length >= this.consumer.batchSize) return;
    const leftMs = began + this.consumer.lingerMs - performance.now();
    if (leftMs > 0) await waitMs(leftMs, signal);
  }

  private async offered(): Promise<void> {
    if (this.waiting || this.stopped.signal.aborted) return;
    await new Promise<void>((resolve) => (this.wake = resolve));
  }
}
