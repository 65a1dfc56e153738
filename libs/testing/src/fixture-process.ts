import { Module, type Type } from '@nestjs/common';
import { baseEnvShape, createLogger, createService, startTracing, subgraphModule, subgraphSdl } from '@pca/service-kit';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { FixtureBehaviour, FixtureCommand, FixtureReady, FixtureSeen } from './fixture-subgraph.js';

// The child of startFixtureSubgraph: Nest keeps the types of code-first schemas in one place a process, so that two subgraphs need two
// processes.

const behaviour: FixtureBehaviour = { delayMs: 0, answerInstead: null };
const seen: FixtureSeen = { requests: [], batches: [], cpuMicros: 0 };

const fixtureOf = async (name: string): Promise<{ resolver: Type; orphanedTypes: Type[] }> => {
  if (name === 'campaigns') return { resolver: (await import('./fixture-campaigns.js')).campaignsFixture(), orphanedTypes: [] };
  const { FixtureCampaignStub, notesFixture } = await import('./fixture-notes.js');
  return { resolver: notesFixture(seen), orphanedTypes: [FixtureCampaignStub] };
};

const interceptGraphql = (fastify: FastifyInstance): void => {
  fastify.addHook('preHandler', async (request, reply) => {
    if (request.routeOptions.url !== '/graphql') return;
    seen.requests.push({ headers: request.headers, query: String((request.body as { query?: unknown } | null)?.query) });
    if (behaviour.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, behaviour.delayMs));
    const instead = behaviour.answerInstead;
    if (instead) await reply.code(instead.status).header('content-type', instead.contentType).send(instead.body);
  });
};

const obey = (command: FixtureCommand): void => {
  if (command.kind === 'behave') Object.assign(behaviour, command.behaviour);
  if (command.kind === 'forget') [seen.requests, seen.batches] = [[], []];
  const { user, system } = process.cpuUsage();
  process.send?.({ kind: 'done', seen: { ...seen, cpuMicros: user + system } });
};

const main = async (): Promise<void> => {
  const [name = '', port = '0'] = process.argv.slice(2);
  const logger = createLogger({ name, level: 'silent' });
  const env = z.object(baseEnvShape).parse({ ...process.env, PORT: '1', LOG_LEVEL: 'silent' });
  await startTracing(name, env.OTEL_EXPORTER_OTLP_ENDPOINT);
  const { resolver, orphanedTypes } = await fixtureOf(name);
  class FixtureModule {}
  Module({ imports: [subgraphModule({ logger, production: false, orphanedTypes })], providers: [resolver] })(FixtureModule);
  const { app, health } = await createService({ name, env, logger, module: FixtureModule });
  interceptGraphql(app.getHttpAdapter().getInstance() as unknown as FastifyInstance);
  await app.listen(Number(port), '127.0.0.1');
  health.start();
  process.on('message', obey);
  const address = app.getHttpServer().address() as AddressInfo;
  process.send?.({ kind: 'ready', port: address.port, sdl: await subgraphSdl(app) } satisfies FixtureReady);
};

process.on('disconnect', () => process.exit(0));
await main();
