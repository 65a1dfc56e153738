import {
  type BusEnv,
  busConfigOf,
  createLogger,
  type Health,
  publishBehaviour,
  RateLimitStore,
  ServiceBus,
  type ServiceDefinition,
} from '@pca/service-kit';
import type { FastifyInstance } from 'fastify';
import { GatewayModule, type GatewayParts, gatewayParts } from './app.module.js';
import { guardEdge } from './edge/edge-guard.js';
import { namesOf } from './edge/loopback-host.js';
import { proxyRest } from './edge/rest-proxy.js';
import { restRoutes } from './edge/rest-routes.js';
import { apiHeaders } from './edge/security-headers.js';
import { type GatewayEnv, localMode } from './env.js';
import { routeGraph } from './graph/graph-route.js';
import { HeldBodies } from './ingest/held-bodies.js';
import { IngestRefusals } from './ingest/ingest-refusals.js';
import { routeIngest } from './ingest/ingest-route.js';
import { serveAssets } from './pages/assets.js';
import { UsageRecorder } from './usage/usage-recorder.js';

/** An address may send more refused ingest keys than one key may be refused: several programs may stand behind it. */
const keysOfAddress = 10;

/** The gateway as service-kit boots it; tests boot it the same way. Without a bus its usage is told to nobody. */
export const gatewayDefinition = (env: GatewayEnv, urls: ReadonlyMap<string, URL>, busEnv?: BusEnv): ServiceDefinition => {
  const logger = createLogger({ name: 'gateway', level: env.LOG_LEVEL });
  const parts = gatewayParts(env, urls, logger);
  const bus = busEnv && env.USAGE ? new ServiceBus(busConfigOf(busEnv, 'gateway'), logger) : undefined;
  const source = { workspaceId: env.USAGE_WORKSPACE, producer: 'gateway' };
  const usage = bus && new UsageRecorder({ publish: (events) => publishBehaviour(bus, source, events), logger, salt: env.USAGE_SALT });
  return {
    name: 'gateway',
    env,
    logger,
    module: GatewayModule.of(env, parts),
    bodyBytesMax: env.BODY_BYTES_MAX,
    trustedProxies: env.TRUST_PROXY,
    ...(bus && { bus }),
    background: () => {
      usage?.start();
      return Promise.resolve(async () => usage?.stop());
    },
    prepare: async (app, health) => {
      const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
      addChecks(health, parts);
      await parts.graph.start();
      await openEdge(fastify, env, { ...parts, usage }, (error) =>
        logger.warn({ err: error }, 'Redis is not reachable; requests are counted here alone'),
      );
    },
  };
};

/** A service that is down does not make the gateway unready: it answers for the others, and taking it out of rotation would help nobody. */
const addChecks = (health: Health, { graph, states }: GatewayParts): void => {
  health.add({ name: 'supergraph', check: () => (graph.schema ? Promise.resolve() : Promise.reject(new Error('not loaded'))) });
  health.addDegraded(async () => (await states.all()).filter(({ state }) => state !== 'ready').map(({ name }) => name));
};

const openEdge = async (
  fastify: FastifyInstance,
  env: GatewayEnv,
  parts: GatewayParts & { usage: UsageRecorder | undefined },
  onRedisError: (error: Error) => void,
): Promise<void> => {
  const headers = apiHeaders(env.NODE_ENV === 'production');
  const rate = (points: number): RateLimitStore =>
    RateLimitStore.open({ points, windowSeconds: env.RATE_WINDOW_SECONDS }, env.REDIS_URL, onRedisError);
  const [admitted, refused] = [rate(env.RATE_REQUESTS_MAX), rate(env.RATE_REFUSED_MAX)];
  const refusedKeys = rate(env.RATE_REFUSED_MAX * keysOfAddress);
  guardEdge(fastify, parts.service, {
    hosts: localMode(env) ? namesOf(env.ALLOWED_HOSTS) : undefined,
    headers,
    admitted,
    refused,
    bodyMsMax: env.REQUEST_MS_MAX,
  });
  routeGraph(fastify, { graph: parts.service, usage: parts.usage, requestMsMax: env.REQUEST_MS_MAX });
  if (parts.upstreams.knows('analytics'))
    await routeIngest(fastify, {
      upstream: parts.upstreams.apartFrom('analytics', 'ingest'),
      refusals: new IngestRefusals(refused, refusedKeys),
      held: new HeldBodies(env.INGEST_HELD_BYTES_MAX, env.INGEST_BYTES_MAX),
      bytesMax: env.INGEST_BYTES_MAX,
      msMax: env.REQUEST_MS_MAX,
    });
  await serveAssets(fastify);
  await proxyRest(fastify, {
    routes: restRoutes(env).filter(({ service }) => parts.upstreams.knows(service)),
    upstreamOf: (service) => parts.upstreams.of(service),
    ownHeaders: new Set(Object.keys(headers)),
  });
  fastify.addHook('onClose', async () => {
    for (const store of [admitted, refused, refusedKeys]) store.close();
    await parts.graph.stop();
    await parts.upstreams.close();
  });
};
