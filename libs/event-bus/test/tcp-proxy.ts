import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy {
  readonly url: string;
  /** `pass` forwards; `silent` accepts and forwards nothing, as a dead link does; `refuse` hangs up. Open connections follow. */
  mode(mode: 'pass' | 'silent' | 'refuse'): void;
  close(): Promise<void>;
}

/** A link to a Postgres server that can be broken. */
export const startTcpProxy = async (target: string): Promise<TcpProxy> => {
  const url = new URL(target);
  const { hostname, port } = url;
  const sockets = new Set<Socket>();
  let mode: 'pass' | 'silent' | 'refuse' = 'pass';
  const server = createServer((near) => {
    if (mode === 'refuse') return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (data) => mode === 'pass' && to.write(data));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url.port = String((server.address() as AddressInfo).port);
  url.hostname = '127.0.0.1';
  const hangUp = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: url.href,
    mode: (next) => {
      mode = next;
      if (next === 'refuse') hangUp();
    },
    close: async () => {
      hangUp();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
