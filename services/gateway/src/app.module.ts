import { type DynamicModule, Module } from '@nestjs/common';
import type { Logger } from '@pca/service-kit';
import { type GatewayEnv, graphiqlOn, introspectionOn, localMode } from './env.js';
import { FederatedGraph } from './graph/federated-graph.js';
import { GraphErrors } from './graph/graph-errors.js';
import { GraphService } from './graph/graph.service.js';
import { introspectionDepthMax, type QueryLimits, valueDepthMax } from './graph/query-limits.js';
import { PageContents, PagesController } from './pages/pages.controller.js';
import { ServiceStates } from './upstreams/service-states.js';
import { Upstreams } from './upstreams/upstreams.js';

export interface GatewayParts {
  upstreams: Upstreams;
  graph: FederatedGraph;
  service: GraphService;
  states: ServiceStates;
}

export const queryLimitsOf = (env: GatewayEnv): QueryLimits => ({
  depth: env.QUERY_DEPTH_MAX,
  introspectionDepth: introspectionDepthMax,
  cost: env.QUERY_COST_MAX,
  aliases: env.QUERY_ALIASES_MAX,
  directives: env.QUERY_DIRECTIVES_MAX,
  selections: env.QUERY_SELECTIONS_MAX,
  rootFields: env.QUERY_ROOT_FIELDS_MAX,
  listItems: env.LIST_ITEMS_MAX,
  valueDepth: valueDepthMax,
  tokens: env.QUERY_TOKENS_MAX,
});

export const gatewayParts = (env: GatewayEnv, urls: ReadonlyMap<string, URL>, logger: Logger): GatewayParts => {
  const upstreams = new Upstreams(urls, {
    msMax: env.SUBGRAPH_MS_MAX,
    bytesMax: env.SUBGRAPH_BYTES_MAX,
    connectionsMax: env.SUBGRAPH_CONNECTIONS_MAX,
    waitingMax: env.SUBGRAPH_WAITING_MAX,
  });
  const graph = new FederatedGraph(env.SUPERGRAPH_FILE, upstreams, logger);
  const errors = new GraphErrors(logger, env.NODE_ENV === 'production');
  const service = new GraphService(graph, errors, queryLimitsOf(env), introspectionOn(env));
  return { upstreams, graph, service, states: new ServiceStates(() => upstreams.all()) };
};

@Module({})
export class GatewayModule {
  static of(env: GatewayEnv, parts: GatewayParts): DynamicModule {
    return {
      module: GatewayModule,
      controllers: [PagesController],
      providers: [
        {
          provide: PageContents,
          useValue: new PageContents(
            { graphiql: graphiqlOn(env), localTokenFile: localMode(env) ? env.LOCAL_TOKEN_FILE : undefined, openapiFile: env.OPENAPI_FILE },
            parts.states,
          ),
        },
      ],
    };
  }
}
