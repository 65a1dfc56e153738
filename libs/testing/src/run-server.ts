import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Startable {
  /** What callers are told. */
  readonly address: string;
  stop(): Promise<void>;
}

export interface RunServer {
  /** Where to ask; only who knows the whole of it gets an answer. */
  readonly controlUrl: string;
  stop(): Promise<void>;
}

/** One server for the whole test run, started when the first spec asks for it: a run without such specs does not pay for it. */
export const serveRun = async (start: () => Promise<Startable>): Promise<RunServer> => {
  let shared: Promise<Startable> | undefined;
  const path = `/${randomUUID()}`;
  const control = createServer((request, response) => {
    if (request.url !== path) return void response.writeHead(404).end();
    shared ??= start();
    shared.then(
      ({ address }) => response.end(address),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    );
  });
  await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve));
  return {
    controlUrl: `http://127.0.0.1:${(control.address() as AddressInfo).port}${path}`,
    stop: async () => {
      control.closeAllConnections();
      control.close();
      await (await shared?.catch(() => undefined))?.stop();
    },
  };
};

/** The address of the server behind a control URL, which is started if it is not there yet. */
export const askRunServer = async (controlUrl: string, name: string): Promise<string> => {
  const response = await fetch(controlUrl);
  const address = await response.text();
  if (!response.ok) throw new Error(`The test run has no ${name}: ${address}`);
  return address;
};
