export {
  ensureLocalIssuer,
  localAudience,
  localIssuerName,
  localSecret,
  localWorkspaceId,
  type LocalIssuer,
  type TokenRequest,
} from './auth/local-issuer.js';
export { principalOf, Public, RequireScope, type GraphqlContext, type ServiceRequest } from './auth/require-scope.js';
export { callContextOf, CurrentCall, type CallContext } from './auth/call-context.js';
export { TokenVerifier, type VerifierOptions } from './auth/token-verifier.js';
export { bootstrap, createService, type ServiceDefinition } from './bootstrap.js';
export { createDataSource, Database, type DatabaseOptions, type Transaction } from './database/database.js';
export { idempotencyTableSql, pruneIdempotencyKeys, withIdempotency, type IdempotentRequest } from './database/idempotency.js';
export { baseEnvShape, type BaseEnv, busEnvShape, type BusEnv, checkEnv, databaseEnvShape, parseEnv } from './env.js';
export { formatGraphqlError } from './graphql/graphql-errors.js';
export { graphqlMetrics } from './graphql/graphql-metrics.js';
export { loaderOf } from './graphql/loader.js';
export { subgraphSdl } from './graphql/schema-sdl.js';
export { subgraphModule, type SubgraphOptions } from './graphql/subgraph-module.js';
export { type Health, type ReadinessCheck } from './http/health.js';
export { outgoingPool } from './http/outgoing.js';
export { domainErrorOf, parseInput, sendProblem } from './http/problem-filter.js';
export { RateLimitStore, type RateLimit } from './http/rate-limit.js';
export { busConfigOf } from './messaging/bus-config.js';
export {
  type ConsumeContext,
  type ConsumedEvent,
  type ConsumerDefinition,
  type EventHandle,
  type EventHandler,
  followingFrom,
  on,
} from './consumers/consumer.js';
export { beginReplay, replayProgress, type ReplayOptions, type ReplayProgress } from './consumers/replay.js';
export { type BehaviourEvent, type BehaviourSource, publishBehaviour } from './messaging/publish-behaviour.js';
export { ServiceBus } from './messaging/service-bus.js';
export { type RunningConsumers, startConsumers } from './consumers/start-consumers.js';
export { startMessaging } from './messaging/start-messaging.js';
export { createLogger, type Logger } from './observability/logger.js';
export { boundedLabel, counter, gauge, graphqlErrorsTotal, graphqlOperationSeconds, histogram, registry } from './observability/metrics.js';
export { activeTraceparent, inSpan, SpanKind, startTracing, tracingEnabled } from './observability/tracing.js';
export { run } from './run.js';
export { readOptions, type ServiceCommand } from './service-command.js';
export { Seam, seams } from './seams.js';
