import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { AnalyticsEvent } from '@pca/sdk/node';

export interface ReceivedBatch {
  bytes: number;
  headers: IncomingMessage['headers'];
  writeKey: string;
  sentAt: string;
  batch: AnalyticsEvent[];
}

export type Reply =
  /** A status of 4xx is a problem of our server unless the headers say otherwise. */
  | { status: number; headers?: Record<string, string>; body?: unknown }
  /** Never answers. */
  | 'hang'
  /** Takes the events, and the connection breaks before the answer. */
  | 'take and break'
  /** The connection breaks before anything is taken. */
  | 'break';

export interface ProtocolServer {
  readonly url: string;
  /** All batches that came, whatever they were answered. */
  readonly batches: ReceivedBatch[];
  /** Methods of all requests: a preflight would be an OPTIONS. */
  readonly methods: string[];
  /** Events taken, by messageId in the order of the first time, as a server that counts each once. */
  readonly taken: Map<string, AnalyticsEvent>;
  /** Says how a batch is answered; takes all when not set. */
  reply: ((received: ReceivedBatch) => Reply | Promise<Reply>) | undefined;
  ids(writeKey: string): string[];
  /** Names of the events of a key, in the order in which they came. */
  names(writeKey: string): (string | undefined)[];
  stop(): Promise<void>;
}

const cors = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'retry-after' };

/** A server that speaks what the SDK speaks, and counts. */
export const startProtocolServer = async (): Promise<ProtocolServer> => {
  const keys = new Map<string, string>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    server.methods.push(request.method ?? '');
    const body = await text(request);
    const received: ReceivedBatch = { bytes: Buffer.byteLength(body), headers: request.headers, ...JSON.parse(body) };
    server.batches.push(received);
    const reply = (await server.reply?.(received)) ?? { status: 202, body: { accepted: received.batch.length, errors: [] } };
    if (reply === 'hang') return;
    if (reply === 'take and break' || (reply !== 'break' && reply.status === 202)) {
      const { errors } = (reply === 'take and break' ? {} : (reply.body ?? {})) as { errors?: unknown };
      const refused = new Set(Array.isArray(errors) ? errors.map((error: { index?: number } | null) => error?.index) : []);
      for (const [index, event] of received.batch.entries()) {
        if (refused.has(index) || server.taken.has(event.messageId)) continue;
        server.taken.set(event.messageId, event);
        keys.set(event.messageId, received.writeKey);
      }
    }
    if (typeof reply === 'string') request.socket.destroy();
    else
      response
        .writeHead(reply.status, {
          ...cors,
          'content-type': reply.status < 400 ? 'application/json' : 'application/problem+json; charset=utf-8',
          ...reply.headers,
        })
        .end(JSON.stringify(reply.body ?? {}));
  };
  const http = createServer((request, response) => {
    // A request that breaks off was never received.
    answer(request, response).catch(() => request.socket.destroy());
  });
  const ids = (writeKey: string): string[] => [...server.taken.keys()].filter((id) => keys.get(id) === writeKey);
  await once(http.listen(0, '127.0.0.1'), 'listening');
  const server: ProtocolServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    batches: [],
    methods: [],
    taken: new Map(),
    reply: undefined,
    ids,
    names: (writeKey) => ids(writeKey).map((id) => server.taken.get(id)?.event ?? server.taken.get(id)?.name),
    stop: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
  return server;
};
