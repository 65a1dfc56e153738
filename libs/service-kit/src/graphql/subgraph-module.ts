import { ApolloServerPluginInlineTraceDisabled } from '@apollo/server/plugin/disabled';
import { ApolloFederationDriver, type ApolloFederationDriverConfig } from '@nestjs/apollo';
import type { DynamicModule } from '@nestjs/common';
import { type BuildSchemaOptions, GraphQLModule } from '@nestjs/graphql';
import type { GraphqlContext, ServiceRequest } from '../auth/require-scope.js';
import type { Logger } from '../observability/logger.js';
import { formatGraphqlError } from './graphql-errors.js';
import { graphqlMetrics } from './graphql-metrics.js';

export interface SubgraphOptions {
  logger: Logger;
  production: boolean;
  /** Entities that no query of this subgraph returns. */
  orphanedTypes?: BuildSchemaOptions['orphanedTypes'];
}

/** A federation 2 subgraph at /graphql, code first. */
export const subgraphModule = (options: SubgraphOptions): DynamicModule =>
  GraphQLModule.forRoot<ApolloFederationDriverConfig>({
    driver: ApolloFederationDriver,
    path: '/graphql',
    autoSchemaFile: { federation: 2 },
    buildSchemaOptions: { dateScalarMode: 'isoDate', ...(options.orphanedTypes && { orphanedTypes: options.orphanedTypes }) },
    playground: false,
    graphiql: false,
    introspection: !options.production,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    persistedQueries: false,
    plugins: [ApolloServerPluginInlineTraceDisabled(), graphqlMetrics()],
    context: (request: ServiceRequest): GraphqlContext => ({ request, loaders: new Map() }),
    formatError: formatGraphqlError(options.logger, { hideSuggestions: options.production }),
  });
