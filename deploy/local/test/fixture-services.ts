import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FixtureServices {
  readonly folder: string;
  remove(): void;
}

/**
 * A service in plain Node: answers with its environment, starts a program of its own, drains for a moment; with DEAF set to its name it
 * never ends by itself.
 */
const program = `
const { createServer } = require('node:http');
require('node:child_process').spawn('sleep', ['600'], { stdio: 'ignore' });
const server = createServer((request, response) => response.end(JSON.stringify(request.url === '/env' ? process.env : { status: 'ready' })));
server.listen(process.env.PORT, process.env.HOST, () => console.log(JSON.stringify({ level: 'info', time: Date.now(), msg: 'listening', port: process.env.PORT })));
const end = (why) => {
  console.log('draining because of ' + why);
  if (process.env.DEAF !== process.env.SERVICE_NAME) setTimeout(() => process.exit(0), 100);
};
process.on('SIGTERM', () => end('SIGTERM'));
process.on('disconnect', () => end('disconnect'));
`;

/** A subgraph with a database, "alpha", and what clients talk to, "edge". */
export const fixtureServices = (): FixtureServices => {
  const folder = mkdtempSync(join(tmpdir(), 'pca-fixture-services-'));
  const add = (name: string, pca: object): void => {
    mkdirSync(join(folder, name, 'dist'), { recursive: true });
    writeFileSync(join(folder, name, 'project.json'), JSON.stringify({ name, metadata: { pca } }));
    writeFileSync(join(folder, name, 'dist/main.js'), program);
  };
  add('edge', { port: 8000, edge: true, env: ['DEAF'] });
  add('alpha', { port: 8101, database: 'alpha', subgraph: true, env: ['DEAF', 'ALPHA_*'] });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
};
