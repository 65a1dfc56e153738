import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const source = (path: string): string => fileURLToPath(new URL(`../src/${path}`, import.meta.url));

/** What a site's bundler makes of the program, with the SDK from its sources. */
export const bundle = async (program: string, platform: 'browser' | 'node'): Promise<Uint8Array> => {
  const { outputFiles } = await build({
    stdin: { contents: program, loader: 'ts', resolveDir: source('.') },
    alias: { '@pca/sdk/node': source('node.ts'), '@pca/sdk': source('index.ts') },
    bundle: true,
    minify: true,
    format: 'esm',
    target: platform === 'browser' ? 'es2022' : 'node20',
    platform,
    write: false,
  });
  return outputFiles[0]!.contents;
};
