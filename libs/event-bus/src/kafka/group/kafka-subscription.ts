import type { Consumer } from '../../delivery/consumer.js';
import { waitMs } from '../../delivery/gate.js';
import type { Subscription } from '../../event-bus.js';
import { ClockWatch } from './clock-watch.js';
import type { Positions } from './group-positions.js';
import type { KafkaLink } from '../kafka-link.js';
import { KafkaMember, type KafkaMemberHost } from './kafka-member.js';

const reconnectMsMax = 5_000;

/** What a subscription needs of the bus that it belongs to. */
export interface SubscriptionHost extends KafkaMemberHost {
  openLink(): KafkaLink;
  ensureTopics(topics: readonly string[]): Promise<void>;
  onClosed(subscription: KafkaSubscription): void;
}

/** One consumer of the group, or one broadcast: a member, and another one when that breaks. */
export class KafkaSubscription implements Subscription {
  private readonly closing = new AbortController();
  private readonly running: Promise<void>;
  private member: KafkaMember | undefined;

  constructor(
    private readonly consumer: Consumer,
    private readonly positionsOf: Positions,
    private readonly host: SubscriptionHost,
  ) {
    this.running = this.run();
  }

  pause(): void {
    this.consumer.gate.pause();
  }

  resume(): void {
    this.consumer.gate.resume();
  }

  delay(ms: number): void {
    this.consumer.gate.delay(ms);
  }

  positions(): Readonly<Record<string, ReadonlyMap<number, number>>> {
    const positions = Object.fromEntries(this.consumer.topics.map((topic) => [topic, new Map<number, number>()]));
    for (const { topic, partition, position } of this.member?.current() ?? []) positions[topic]?.set(partition, position);
    return positions;
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        await this.live(() => (failures = 0));
      } catch (error) {
        this.consumer.host.observer.connectionLost?.(error as Error);
        await waitMs(Math.min(reconnectMsMax, 50 * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2), signal);
      }
    }
    await this.positionsOf.leave();
    this.host.onClosed(this);
  }

  /** As one member, until it breaks or the subscription is closed. No handler is under way when it returns. */
  private async live(onJoined: () => void): Promise<void> {
    await this.host.ensureTopics(this.consumer.topics);
    const { signal } = this.closing;
    if (signal.aborted) return;
    const member = new KafkaMember(this.host.openLink(), this.consumer, this.positionsOf, this.host, onJoined);
    this.member = member;
    const closed = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
    const clock = new ClockWatch();
    const error = await Promise.race([member.broken, clock.putBack, closed]);
    clock.close();
    await member.close();
    this.member = undefined;
    if (error) throw error;
  }
}
