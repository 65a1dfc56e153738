import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EmbeddedPostgres } from '@pca/embedded-postgres';
import type { TestProject } from 'vitest/node';
import { startSharedPostgres } from './postgres.js';

/** One Postgres server for the whole test run, started when the first spec asks for it: a run without such specs does not pay for it. */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  let shared: Promise<EmbeddedPostgres> | undefined;
  const path = `/${randomUUID()}`;
  const control = createServer((request, response) => {
    if (request.url !== path) return void response.writeHead(404).end();
    shared ??= startSharedPostgres();
    shared.then(
      (server) => response.end(server.url()),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    );
  });
  await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve));
  project.provide('pcaPostgres', `http://127.0.0.1:${(control.address() as AddressInfo).port}${path}`);
  return async () => {
    control.closeAllConnections();
    control.close();
    await (await shared?.catch(() => undefined))?.stop();
  };
};
