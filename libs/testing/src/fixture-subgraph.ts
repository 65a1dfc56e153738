import { composeServices } from '@apollo/composition';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { resolve } from 'node:path';
import { parse } from 'graphql';

export type FixtureName = 'campaigns' | 'notes';

/** How a fixture treats GraphQL requests. */
export interface FixtureBehaviour {
  /** Each waits this long, milliseconds. */
  delayMs: number;
  /** Sent in place of the real answer; null for the real one. */
  answerInstead: { status: number; contentType: string; body: string } | null;
}

export interface FixtureSeen {
  /** GraphQL requests that arrived. */
  requests: { headers: IncomingHttpHeaders; query: string }[];
  /** Sizes of the batches that entity fields were loaded in. */
  batches: number[];
  /** CPU time of the process since its start, microseconds. */
  cpuMicros: number;
}

export type FixtureCommand = { kind: 'behave'; behaviour: Partial<FixtureBehaviour> } | { kind: 'look' } | { kind: 'forget' };
export interface FixtureReady {
  kind: 'ready';
  port: number;
  sdl: string;
}

export interface FixtureSubgraph {
  readonly name: FixtureName;
  readonly url: string;
  readonly port: number;
  readonly sdl: string;
  behave(behaviour: Partial<FixtureBehaviour>): Promise<void>;
  /** What arrived since the start or the last `forget`. */
  look(): Promise<FixtureSeen>;
  forget(): Promise<void>;
  /** Ends the process at once; connections break. */
  kill(): Promise<void>;
}

export interface FixtureOptions {
  jwksFile: string;
  /** 0 or absent: any free port. */
  port?: number;
  env?: NodeJS.ProcessEnv;
}

/**
 * A subgraph as a process, with its data in memory, built and served as every service is: `campaigns` owns the entity Campaign, `notes`
 * adds batched fields to it. Both want the scope campaigns:read. It runs from dist, so libs/testing must have been built, and ends with
 * this process.
 */
export const startFixtureSubgraph = async (
  name: FixtureName,
  { jwksFile, port = 0, env = {} }: FixtureOptions,
): Promise<FixtureSubgraph> => {
  const script = resolve(import.meta.dirname, '../dist/fixture-process.js');
  const child = fork(script, [name, String(port)], {
    env: { ...process.env, NODE_ENV: 'test', APOLLO_TELEMETRY_DISABLED: 'true', AUTH_JWKS_FILE: jwksFile, ...env },
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ready = await answerOf<FixtureReady>(child);
  const tell = async (command: FixtureCommand): Promise<FixtureSeen> => {
    child.send(command);
    return (await answerOf<{ seen: FixtureSeen }>(child)).seen;
  };
  return {
    name,
    url: `http://127.0.0.1:${ready.port}`,
    port: ready.port,
    sdl: ready.sdl,
    behave: async (behaviour) => void (await tell({ kind: 'behave', behaviour })),
    look: () => tell({ kind: 'look' }),
    forget: async () => void (await tell({ kind: 'forget' })),
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
};

const answerOf = async <T>(child: ChildProcess): Promise<T> => {
  const waiting = new AbortController();
  const exited = once(child, 'exit', { signal: waiting.signal }).then(([code]) => {
    throw new Error(`the fixture ended with code ${String(code)}; was libs/testing built?`);
  });
  exited.catch(() => undefined);
  try {
    const [message] = (await Promise.race([once(child, 'message', { signal: waiting.signal }), exited])) as [T];
    return message;
  } finally {
    waiting.abort();
  }
};

/** The supergraph of subgraphs that are up. Throws with every reason why they do not compose. */
export const composeSupergraph = (subgraphs: readonly { name: string; url: string; sdl: string }[]): string => {
  const { supergraphSdl, errors } = composeServices(subgraphs.map(({ name, url, sdl }) => ({ name, url, typeDefs: parse(sdl) })));
  if (supergraphSdl === undefined) throw new Error(`the fixtures do not compose: ${String(errors)}`);
  return supergraphSdl;
};
