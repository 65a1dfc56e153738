import { fork } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Subgraph {
  name: string;
  folder: string;
  port: number;
  database: string;
}

const schemaMsMax = 60_000;

/** Services whose project.json says that they are a subgraph, by name. The supervisor starts from the same words. */
export const subgraphsOf = (root: string): Subgraph[] =>
  readdirSync(join(root, 'services'))
    .sort()
    .flatMap((name) => {
      const folder = join(root, 'services', name);
      const file = join(folder, 'project.json');
      if (!existsSync(file)) return [];
      const project = JSON.parse(readFileSync(file, 'utf8')) as {
        metadata?: { pca?: { port: number; database: string; subgraph?: boolean } };
      };
      const pca = project.metadata?.pca;
      return pca?.subgraph ? [{ name, folder, port: pca.port, database: pca.database }] : [];
    });

/**
 * The SDL of a built service, printed by a process of its own: two Nest schemas in one process would share their type registry,
 * and a bare environment keeps the result the same on every machine.
 */
export const sdlOf = (folder: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = fork(join(import.meta.dirname, 'print-schema.mjs'), [join(folder, 'dist/schema.js')], {
      env: { PATH: process.env['PATH'], APOLLO_TELEMETRY_DISABLED: 'true', LOG_LEVEL: 'error' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      timeout: schemaMsMax,
    });
    let output = '';
    let sdl: string | undefined;
    child.stdout?.on('data', (chunk: Buffer) => (output += String(chunk)));
    child.stderr?.on('data', (chunk: Buffer) => (output += String(chunk)));
    child.on('message', (message: { sdl: string }) => (sdl = message.sdl));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0 && sdl !== undefined) resolve(sdl);
      else reject(new Error(`${folder} printed no schema (exit ${code}):\n${output.slice(-4000)}`));
    });
  });
