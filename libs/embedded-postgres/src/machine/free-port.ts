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

const told = new Set<number>();

/**
 * Whether nobody else was told this port: a server takes seconds until it has it, in which it seems to be free. Other processes see it by a
 * name without a file, which only Linux has; it is this process's until it ends.
 */
const reserve = (port: number): Promise<boolean> => {
  if (told.has(port)) return Promise.resolve(false);
  told.add(port);
  if (process.platform !== 'linux') return Promise.resolve(true);
  return new Promise((resolve) => {
    const name = createServer();
    name.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'));
    name.listen({ path: `\0pca-port-${port}` }, () => {
      name.unref();
      resolve(true);
    });
  });
};

/**
 * A port that is free now and that nobody else is told, below the ephemeral range of Linux, so that no outgoing connection takes it before
 * the server does.
 */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const candidate = 20_000 + Math.floor(Math.random() * 12_000);
    if ((await isPortFree(candidate)) && (await reserve(candidate))) return candidate;
  }
  throw new Error('No free port between 20000 and 32000 on 127.0.0.1');
};
