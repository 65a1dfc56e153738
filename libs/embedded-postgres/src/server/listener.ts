import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';

/** Where the server listens: on a TCP port of 127.0.0.1 always. */
export interface Listener {
  readonly port: number;
  /** Holds its Unix socket as well, which costs both sides a tenth less than TCP; undefined where there can be none. */
  readonly socketFolder: string | undefined;
}

/** What a path of a Unix socket can have at most on the system where that is least, macOS. */
const pathBytesMax = 103;
const longestPort = 65_535;

const socketPath = (folder: string, port: number): string => join(folder, `.s.PGSQL.${port}`);

/** Not every file system holds sockets: those of network drives and of other systems' disks may not. */
const canListen = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(path, () => server.close(() => resolve(true)));
  });

/**
 * The cluster's own folder, which only the server's user may enter, where a socket can be made in it and named in a connection string: libpq
 * takes a comma for the end of one host and the beginning of another, whatever stands before it.
 */
export const usableSocketFolder = async (cluster: string): Promise<string | undefined> => {
  if (cluster.includes(',')) return undefined;
  if (process.platform === 'win32' || Buffer.byteLength(socketPath(cluster, longestPort)) > pathBytesMax) return undefined;
  return (await canListen(join(cluster, '.s.probe'))) ? cluster : undefined;
};

/** The cluster's folder where its server has made a socket for this port. */
export const socketFolderInUse = (cluster: string, port: number): string | undefined =>
  existsSync(socketPath(cluster, port)) ? cluster : undefined;
