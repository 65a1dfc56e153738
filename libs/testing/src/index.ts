export { freePort } from '@pca/embedded-postgres';
export {
  locksOfThisDatabase,
  type PrivatePostgres,
  startPrivatePostgres,
  type TestDatabase,
  type TestPostgres,
  testPostgres,
} from './postgres.js';
export { type PrivateKafka, requiresKafka, startPrivateKafka, type TestKafka, testKafka } from './kafka/kafka.js';
export type { SecureAccess } from './kafka/secure-listener.js';
export {
  composeSupergraph,
  type FixtureBehaviour,
  type FixtureName,
  type FixtureOptions,
  type FixtureSeen,
  type FixtureSubgraph,
  startFixtureSubgraph,
} from './fixture-subgraph.js';
export { askGraphql, askRest, startTestService, type GraphqlAnswer, type RunningService } from './running-service.js';
export { testIssuer, type TestIssuer } from './test-issuer.js';
export { seededRandom, type SeededRandom } from './seeded-random.js';
export { requires } from './requires.js';
export { chromiumFlags, chromiumPath, requiresChromium } from './chromium.js';
export { projectionCommand, projectionMain, type ProjectionProcess, type RunningCommand, startProjection } from './projection.js';
