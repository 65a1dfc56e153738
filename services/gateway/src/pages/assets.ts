import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

const require = createRequire(import.meta.url);
const packageFile = (name: string, file: string): [root: string, file: string] => {
  const path = join(dirname(require.resolve(`${name}/package.json`)), file);
  return [dirname(path), path.slice(dirname(path).length + 1)];
};
const ownFile = (file: string): [root: string, file: string] => [resolve(import.meta.dirname, '../../public'), file];

/** Every file that our pages load, by the name they load it by: all of them are on this machine, so the pages work without a network. */
const assets: Readonly<Record<string, [root: string, file: string]>> = {
  'home.css': ownFile('home.css'),
  'graphiql-page.css': ownFile('graphiql-page.css'),
  'graphiql-page.js': ownFile('graphiql-page.js'),
  'docs-page.js': ownFile('docs-page.js'),
  'react.js': packageFile('react', 'umd/react.production.min.js'),
  'react-dom.js': packageFile('react-dom', 'umd/react-dom.production.min.js'),
  'graphiql.js': packageFile('graphiql', 'graphiql.min.js'),
  'graphiql.css': packageFile('graphiql', 'graphiql.min.css'),
  'swagger-ui.js': packageFile('swagger-ui-dist', 'swagger-ui-bundle.js'),
  'swagger-ui.css': packageFile('swagger-ui-dist', 'swagger-ui.css'),
};

export const serveAssets = async (fastify: FastifyInstance): Promise<void> => {
  await fastify.register(fastifyStatic, { root: ownFile('')[0], serve: false });
  for (const [name, [root, file]] of Object.entries(assets))
    fastify.get(`/assets/${name}`, (_request, reply) => reply.sendFile(file, root));
};
