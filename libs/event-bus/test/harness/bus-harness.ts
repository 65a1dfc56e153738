import type { BusMessage } from '@pca/contracts';
import type { EventBus, EventBusAdmin, EventBusObserver, KafkaEventBusOptions, PostgresEventBusOptions } from '../../src/index.js';
import type { Stage } from '../scenarios/stage.js';
import type { TcpProxy } from '../tcp-proxy.js';

export type Bus = EventBus & EventBusAdmin;

export interface ConnectOptions {
  readonly topics?: Readonly<Record<string, { readonly partitions: number }>>;
  readonly observer?: EventBusObserver;
  /** How long one answer may take; 10 s where nothing is said. */
  readonly queryMsMax?: number;
  /** After how long a member that says nothing is given up. */
  readonly silentMsMax?: number;
  /** Over the link that can be broken; of a server of one's own only. */
  readonly overLink?: boolean;
}

/** What a bus is opened with, in this process or in another one: it goes through JSON. */
export type PlainConfig =
  | ({ readonly bus: 'postgres' } & Pick<PostgresEventBusOptions, 'limits'> & { readonly url: string })
  | ({ readonly bus: 'kafka' } & Pick<KafkaEventBusOptions, 'limits' | 'brokers'>);

/** `connect` opens one more bus, with connections of its own, as another process would have; `close` closes it if the test did not. */
export interface BusHarness extends Stage {
  /** Puts bytes that no publisher of ours checked at the end of a topic of one partition, which is there. */
  appendRaw(topic: string, bytes: Buffer): Promise<void>;
  /** The bytes of a message as a publisher would put them there. */
  bytesOf(message: BusMessage): Buffer;
  close(): Promise<void>;
}

/** On a server of the test's own, over a link that can be broken. */
export interface PrivateBusHarness extends BusHarness {
  readonly link: TcpProxy;
  /** kill -9 of the server. */
  kill(): Promise<void>;
  /** Starts it again on what it had. */
  start(): Promise<void>;
}

export interface BusAdapter {
  readonly name: 'Postgres' | 'Kafka';
  shared(): Promise<BusHarness>;
  private(): Promise<PrivateBusHarness>;
}
