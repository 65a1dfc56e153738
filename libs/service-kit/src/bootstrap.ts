import 'reflect-metadata';
import { APP_FILTER, APP_GUARD, NestFactory } from '@nestjs/core';
import { Module, type DynamicModule, type Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ScopeGuard } from './auth/require-scope.js';
import { TokenVerifier } from './auth/token-verifier.js';
import type { Database } from './database/database.js';
import type { BaseEnv } from './env.js';
import { Health } from './http/health.js';
import { createHttpServer, type HttpServerOptions } from './http/http-server.js';
import { ProblemFilter } from './http/problem-filter.js';
import type { ConsumerDefinition } from './consumers/consumer.js';
import type { ServiceBus } from './messaging/service-bus.js';
import { startMessaging } from './messaging/start-messaging.js';
import { type Logger, nestLogger } from './observability/logger.js';
import { startMetrics } from './observability/metrics.js';
import { startTracing } from './observability/tracing.js';
import type { ServiceCommand } from './service-command.js';

export interface ServiceDefinition {
  name: string;
  env: BaseEnv;
  logger: Logger;
  module: Type | DynamicModule;
  database?: Database;
  /** With a database, its outbox is relayed to the bus. */
  bus?: ServiceBus;
  /** What it consumes, with a database and a bus. Called once, when the application is made. */
  consumers?: (app: NestFastifyApplication) => readonly ConsumerDefinition[];
  bodyBytesMax?: number;
  /** Addresses and CIDRs of proxies that tell who the client is. */
  trustedProxies?: readonly string[];
  /** Routes and parsers that must be there before Nest's own. */
  prepare?: (app: NestFastifyApplication, health: Health) => Promise<void> | void;
  /** What its program does instead of serving, by the first argument, beside the commands that every service has. */
  commands?: Readonly<Record<string, ServiceCommand>>;
  /** Starts what works in the background; returns how to stop it, which must drain. */
  background?: (app: NestFastifyApplication, health: Health) => Promise<() => Promise<void>>;
}

@Module({})
class ServiceModule {
  static of(module: Type | DynamicModule): DynamicModule {
    return {
      module: ServiceModule,
      imports: [module],
      providers: [
        { provide: APP_GUARD, useClass: ScopeGuard },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }
}

/** The Nest application of a service, not yet connected or listening: enough to print its schema or to test it. */
export const createService = async (definition: ServiceDefinition): Promise<{ app: NestFastifyApplication; health: Health }> => {
  const { env, logger } = definition;
  const health = new Health();
  const verifier = new TokenVerifier({
    issuer: env.AUTH_ISSUER,
    audience: env.AUTH_AUDIENCE,
    jwksUrl: env.AUTH_JWKS_URL,
    jwksFile: env.AUTH_JWKS_FILE,
  });
  const options: HttpServerOptions = {
    logger,
    verifier,
    health,
    ...(definition.bodyBytesMax && { bodyBytesMax: definition.bodyBytesMax }),
    ...(definition.trustedProxies && { trustedProxies: definition.trustedProxies }),
  };
  const app = await NestFactory.create<NestFastifyApplication>(ServiceModule.of(definition.module), createHttpServer(options), {
    logger: nestLogger(logger),
    abortOnError: false,
    // Fastify's own JSON parser stays; Nest would add one for forms, which a foreign page can send.
    bodyParser: false,
  });
  await definition.prepare?.(app, health);
  return { app, health };
};

/**
 * Boots a service: environment checked, database connected and migrated, HTTP up, outbox, consumers and background work started, in that
 * order.
 * SIGTERM, SIGINT and the loss of the supervisor drain it: not ready, no new connections, running requests end, background work ends, exit
 * 0.
 */
export const bootstrap = async (definition: ServiceDefinition): Promise<void> => {
  const { name, env, logger, database, bus } = definition;
  refuseLocalIssuerInProduction(env);
  const stopTracing = await startTracing(name, env.OTEL_EXPORTER_OTLP_ENDPOINT);
  startMetrics(name);
  const { app, health } = await createService(definition);
  let stopBackground: (() => Promise<void>) | undefined;
  let stopMessaging: (() => Promise<void>) | undefined = bus && (() => bus.close());
  onShutdown(env, logger, async () => {
    health.drain();
    await app.close();
    await stopBackground?.();
    await stopMessaging?.();
    await database?.stop();
    await stopTracing();
  });
  if (database) {
    await database.start((error, attempt) => logger.warn({ err: error, attempt }, 'the database is not reachable yet'));
    health.add({ name: 'database', check: () => database.ping() });
  }
  await app.listen(env.PORT, env.HOST);
  if (database && bus) stopMessaging = startMessaging({ database, bus, logger, consumers: definition.consumers?.(app) ?? [] }, health);
  stopBackground = await definition.background?.(app, health);
  health.start();
  logger.info({ port: env.PORT, node: process.version }, `${name} is up`);
};

const refuseLocalIssuerInProduction = (env: BaseEnv): void => {
  if (env.AUTH_JWKS_URL || env.NODE_ENV !== 'production') return;
  throw new Error('AUTH_JWKS_URL must be set when NODE_ENV=production: the local issuer is for one machine only');
};

const onShutdown = (env: BaseEnv, logger: Logger, drain: () => Promise<void>): void => {
  let stopping = false;
  const stop = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info({ reason }, 'shutting down');
    const deadline = setTimeout(() => {
      logger.warn({ seconds: env.SHUTDOWN_SECONDS_MAX }, 'the shutdown took too long; leaving now');
      process.exit(1);
    }, env.SHUTDOWN_SECONDS_MAX * 1000);
    deadline.unref();
    drain().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'the shutdown failed');
        process.exit(1);
      },
    );
  };
  // It may come several times: from the supervisor, and from what ends the servers when that is gone.
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  // The supervisor holds the other end; when it dies, however it dies, nobody is left to stop this process.
  process.once('disconnect', () => stop('the supervisor is gone'));
};
