import { createServer } from 'node:net';

const listenOn = (port: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });

export const isPortFree = async (port: number): Promise<boolean> => (await listenOn(port)) !== undefined;

/** A port that is free now, below the ephemeral range of Linux, so that no outgoing connection takes it before the server does. */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const candidate = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isPortFree(candidate)) return candidate;
  }
  throw new Error('No free port between 20000 and 32000 on 127.0.0.1');
};
