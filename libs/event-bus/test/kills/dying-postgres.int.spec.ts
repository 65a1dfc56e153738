import { type AddressInfo, createServer, type Server } from 'node:net';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { PostgresSession } from '../../src/postgres/postgres-session.js';

let server: Server | undefined;

afterEach(() => void server?.close());

const packet = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const welcome = Buffer.concat([packet('R', Buffer.alloc(4)), packet('Z', Buffer.from('I'))]);
const farewell = packet('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'));

// Broken by: listening for errors only after a promise of the connection, when the process is ended by what nobody heard.
it('survives a server that dies right behind its welcome', async () => {
  const dying = (server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.concat([welcome, farewell])));
  }));
  await new Promise<void>((resolve) => dying.listen(0, '127.0.0.1', resolve));
  const { port } = dying.address() as AddressInfo;
  const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'bus', password: 'bus', database: 'bus' });
  pool.on('error', () => undefined);
  const listener = { onWake: () => undefined, onBalance: () => undefined, onEnd: () => undefined };
  await expect(PostgresSession.open(pool, { queryMsMax: 1_000, silentMsMax: 1_000 }, listener)).rejects.toThrow();
  await pool.end();
});
