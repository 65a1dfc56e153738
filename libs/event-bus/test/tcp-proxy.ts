import { setTimeout as sleep } from 'node:timers/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * - `pass` forwards;
 * - `silent` accepts and forwards nothing; a connection that lost something by that is hung up when the mode changes;
 * - `refuse` hangs up;
 * - `late` forwards everything so many milliseconds later, in its order, also what was said by one who has hung up since;
 * - `half` forwards the first half of an answer and hangs up.
 *
 * Open connections follow.
 */
export type LinkMode = 'pass' | 'silent' | 'refuse' | 'late' | 'half';

export interface TcpProxy {
  readonly url: string;
  /** Bytes of answers that were forwarded so far. */
  readonly answeredBytes: number;
  mode(mode: LinkMode, lateMs?: number): void;
  close(): Promise<void>;
}

/** A link to a server that can be broken. */
export const startTcpProxy = async (target: string): Promise<TcpProxy> => {
  const url = new URL(target);
  const { hostname, port } = url;
  const sockets = new Set<Socket>();
  /** Sockets to which something was not forwarded: what came later would be taken for it. */
  const broken = new Set<Socket>();
  let mode: LinkMode = 'pass';
  let lateMs = 0;
  let answeredBytes = 0;
  /** The last of what is on its way to a socket: nothing overtakes it, however the mode changes. */
  const arrivals = new Map<Socket, Promise<void>>();
  const later = (to: Socket, act: () => void): void => {
    const before = arrivals.get(to);
    if (mode !== 'late' && !before) return act();
    const arrival = Promise.all([before, sleep(mode === 'late' ? lateMs : 0)]).then(() => {
      if (arrivals.get(to) === arrival) arrivals.delete(to);
      act();
    });
    arrivals.set(to, arrival);
  };
  const forward = (data: Buffer, to: Socket, isAnswer: boolean, hangUp: () => void): void => {
    if (mode === 'silent') return void broken.add(to);
    const isHalf = mode === 'half' && isAnswer;
    later(to, () => {
      const part = isHalf ? data.subarray(0, Math.ceil(data.length / 2)) : data;
      if (isAnswer) answeredBytes += part.length;
      if (!to.destroyed) to.write(part);
      if (isHalf) setImmediate(hangUp);
    });
  };
  const server = createServer((near) => {
    if (mode === 'refuse') return void near.destroy();
    const far = connect(Number(port), hostname);
    const hangUp = () => [near, far].forEach((socket) => socket.destroy());
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (data: Buffer) => forward(data, to, from === far, hangUp));
      // A consumer that reads slowly is felt at the other end.
      from.on('data', () => {
        if (to.writableLength < 64 * 1024 || from.isPaused()) return;
        from.pause();
        to.once('drain', () => from.resume());
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        later(to, () => to.destroy());
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url.port = String((server.address() as AddressInfo).port);
  url.hostname = '127.0.0.1';
  // A Unix socket named there would lead past this link.
  url.searchParams.delete('host');
  const hangUpAll = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: url.href,
    get answeredBytes() {
      return answeredBytes;
    },
    mode: (next, ms = 0) => {
      mode = next;
      lateMs = ms;
      if (next === 'refuse') hangUpAll();
      if (next === 'silent') return;
      for (const socket of broken) socket.destroy();
      broken.clear();
    },
    close: async () => {
      hangUpAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
