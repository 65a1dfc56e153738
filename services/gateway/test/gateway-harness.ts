import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Role } from '@pca/contracts';
import { createService, ensureLocalIssuer, type LocalIssuer } from '@pca/service-kit';
import { composeSupergraph, type FixtureSubgraph, startFixtureSubgraph } from '@pca/testing';
import { readEnv, readSubgraphUrls } from '../src/env.js';
import { gatewayDefinition } from '../src/gateway.js';

export interface GraphBody {
  data?: Record<string, unknown> | null;
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string; service?: string } & Record<string, unknown> }[];
}

/** Two real subgraphs as processes on loopback, and their supergraph. */
export interface Fixtures {
  folder: string;
  supergraphFile: string;
  issuer: LocalIssuer;
  campaigns: FixtureSubgraph;
  notes: FixtureSubgraph;
  /** Both behave again and forget what they saw. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

export const startFixtures = async (env: NodeJS.ProcessEnv = {}): Promise<Fixtures> => {
  const folder = await mkdtemp(join(tmpdir(), 'pca-gateway-'));
  const issuer = await ensureLocalIssuer(join(folder, 'issuer'));
  const options = { jwksFile: issuer.jwksFile, env };
  const [campaigns, notes] = await Promise.all([startFixtureSubgraph('campaigns', options), startFixtureSubgraph('notes', options)]);
  const supergraphFile = join(folder, 'supergraph.graphql');
  await writeFile(supergraphFile, composeSupergraph([campaigns, notes]));
  const fixtures: Fixtures = {
    folder,
    supergraphFile,
    issuer,
    campaigns,
    notes,
    reset: async () => {
      for (const subgraph of [fixtures.campaigns, fixtures.notes]) {
        await subgraph.behave({ delayMs: 0, answerInstead: null });
        await subgraph.forget();
      }
    },
    stop: async () => {
      await Promise.all([fixtures.campaigns.kill(), fixtures.notes.kill()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
  return fixtures;
};

export interface RunningGateway {
  url: string;
  token(role?: Role, workspace?: string): Promise<string>;
  /** One operation with a token of the role admin. */
  graph(
    query: string,
    variables?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: GraphBody; headers: Headers }>;
  stop(): Promise<void>;
}

/** What a gateway over the fixtures needs in its environment, in this process or in one of its own. */
export const gatewayEnv = (fixtures: Fixtures): NodeJS.ProcessEnv => ({
  NODE_ENV: 'test',
  LOG_LEVEL: 'silent',
  PORT: '1',
  AUTH_JWKS_FILE: fixtures.issuer.jwksFile,
  SUPERGRAPH_FILE: fixtures.supergraphFile,
  SUBGRAPH_CAMPAIGNS_URL: fixtures.campaigns.url,
  SUBGRAPH_NOTES_URL: fixtures.notes.url,
});

/** The gateway in this process. */
export const startGateway = async (fixtures: Fixtures, overrides: NodeJS.ProcessEnv = {}): Promise<RunningGateway> => {
  const source = { ...gatewayEnv(fixtures), ...overrides };
  const { app, health } = await createService(gatewayDefinition(readEnv(source), readSubgraphUrls(source)));
  await app.listen(0, '127.0.0.1');
  health.start();
  const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
  const token = (role: Role = 'admin', workspace = 'demo'): Promise<string> => fixtures.issuer.issue({ role, workspace });
  const admin = await token();
  return {
    url,
    token,
    graph: async (query, variables, headers = {}) => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${admin}`, ...headers },
        body: JSON.stringify({ query, variables }),
      });
      return { status: response.status, body: (await response.json()) as GraphBody, headers: response.headers };
    },
    stop: () => app.close(),
  };
};
