import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import kafkajs, { type Kafka, type SASLOptions } from 'kafkajs';
import { registerCodecs } from './compression-codecs.js';
import { forgetHalfAnswers } from './fresh-connection.js';
import { letRequestQueuesRest } from './quiet-request-queue.js';

export interface KafkaConnection {
  /** `host:port`, several with commas in between, as in KAFKA_BROKERS. */
  readonly brokers: string;
  /** How the broker's logs and quotas name this program. */
  readonly clientId?: string;
  /** True for a broker with a certificate that the system trusts; `ca`, `cert` and `key` are PEM. */
  readonly ssl?: boolean | Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized'>;
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
}

/** Errors of kafkajs carry the broker's own name for them. */
export const kafkaErrorType = (error: unknown): string | undefined => {
  const { type, cause } = (typeof error === 'object' && error !== null ? error : {}) as { type?: unknown; cause?: unknown };
  if (typeof type === 'string') return type;
  return cause === undefined || cause === error ? undefined : kafkaErrorType(cause);
};

const keepAliveMs = 60_000;
const connectMsMax = 5_000;

registerCodecs();
letRequestQueuesRest();
forgetHalfAnswers();

/**
 * A kafkajs client whose connections can be cut for good. kafkajs goes on trying behind a caller who has given up, so that what was refused
 * might still be stored, or a member that was closed might join again; one whose sockets are gone cannot.
 */
export class KafkaLink {
  readonly kafka: Kafka;
  private readonly sockets = new Set<Socket>();
  private isCut = false;
  private isLost = false;

  /**
   * `requestMsMax` is how long one answer of a broker may take; `onLost` is told of a connection that breaks by itself or is not made, and of
   * no other until one is made again.
   */
  constructor(
    { brokers, clientId = 'pca', ssl, sasl }: KafkaConnection,
    requestMsMax: number,
    private readonly onLost: (error: Error) => void = () => undefined,
  ) {
    this.kafka = new kafkajs.Kafka({
      brokers: brokers.split(',').map((broker) => broker.trim()),
      clientId,
      ...(ssl !== undefined && { ssl }),
      ...(sasl !== undefined && { sasl: sasl as SASLOptions }),
      requestTimeout: requestMsMax,
      connectionTimeout: Math.min(connectMsMax, requestMsMax),
      authenticationTimeout: requestMsMax,
      retry: { initialRetryTime: 20, maxRetryTime: 1_000, retries: 5 },
      logLevel: kafkajs.logLevel.NOTHING,
      socketFactory: ({ host, port, ssl: tls, onConnect }) => this.openSocket(host, port, tls, onConnect),
    });
  }

  /** Breaks every connection; none is opened from now on. */
  cut(): void {
    this.isCut = true;
    // With an error, because kafkajs does not listen for the close.
    for (const socket of this.sockets) socket.destroy(new Error('The connection was given up'));
  }

  private openSocket(host: string, port: number, tls: ConnectionOptions | undefined, onConnect: () => void): Socket {
    if (this.isCut) throw new Error('The connection was given up');
    const to = { host, port, ...(isIP(host) === 0 && { servername: host }) };
    const socket = tls ? connectTls({ ...to, ...tls }, onConnect) : connectTcp({ host, port }, onConnect);
    socket.setKeepAlive(true, keepAliveMs).setNoDelay(true);
    // kafkajs may give up a socket that still connects as often as something asks for it.
    socket.setMaxListeners(0);
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    socket.once('connect', () => (this.isLost = false));
    socket.once('error', (error) => this.lose(error));
    socket.once('end', () => socket.writableEnded || this.lose(new Error(`Kafka at ${host}:${port} hung up`)));
    return socket;
  }

  private lose(error: Error): void {
    if (!this.isCut && !this.isLost) this.onLost(error);
    this.isLost = true;
  }
}
