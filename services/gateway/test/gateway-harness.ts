import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Role } from '@pca/contracts';
import { createService, ensureLocalIssuer, type LocalIssuer } from '@pca/service-kit';
import { composeSupergraph, type FixtureSubgraph, startFixtureSubgraph } from '@pca/testing';
import { readEnv } from '../src/env.js';
import { gatewayDefinition } from '../src/gateway.js';

export interface GraphBody {
  data?: Record<string, unknown> | null;
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string; service?: string } & Record<string, unknown> }[];
}

export interface Harness {
  url: string;
  folder: string;
  supergraphFile: string;
  issuer: LocalIssuer;
  campaigns: FixtureSubgraph;
  notes: FixtureSubgraph;
  token(role?: Role, workspace?: string): Promise<string>;
  /** One operation with a token of the role admin. */
  graph(query: string, variables?: unknown, headers?: Record<string, string>): Promise<{ status: number; body: GraphBody; headers: Headers }>;
  stop(): Promise<void>;
}

/** The gateway in this process, over two real subgraphs on loopback. */
export const startHarness = async (overrides: NodeJS.ProcessEnv = {}): Promise<Harness> => {
  const folder = await mkdtemp(join(tmpdir(), 'pca-gateway-'));
  const issuer = await ensureLocalIssuer(join(folder, 'issuer'));
  const campaigns = await startFixtureSubgraph('campaigns', { jwksFile: issuer.jwksFile });
  const notes = await startFixtureSubgraph('notes', { jwksFile: issuer.jwksFile });
  const supergraphFile = join(folder, 'supergraph.graphql');
  await writeFile(supergraphFile, composeSupergraph([campaigns, notes]));
  const source = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    PORT: '1',
    AUTH_JWKS_FILE: issuer.jwksFile,
    SUPERGRAPH_FILE: supergraphFile,
    ...overrides,
  };
  const urls = new Map([
    ['SUBGRAPH_CAMPAIGNS_URL', new URL(overrides['SUBGRAPH_CAMPAIGNS_URL'] ?? campaigns.url)],
    ['SUBGRAPH_NOTES_URL', new URL(overrides['SUBGRAPH_NOTES_URL'] ?? notes.url)],
  ]);
  const { app, health } = await createService(gatewayDefinition(readEnv(source), urls));
  await app.listen(0, '127.0.0.1');
  health.start();
  const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
  const token = (role: Role = 'admin', workspace = 'demo'): Promise<string> => issuer.issue({ role, workspace });
  const admin = await token();
  return {
    url,
    folder,
    supergraphFile,
    issuer,
    campaigns,
    notes,
    token,
    graph: async (query, variables, headers = {}) => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${admin}`, ...headers },
        body: JSON.stringify({ query, variables }),
      });
      return { status: response.status, body: (await response.json()) as GraphBody, headers: response.headers };
    },
    stop: async () => {
      await app.close();
      await Promise.all([campaigns.kill(), notes.kill()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
};
