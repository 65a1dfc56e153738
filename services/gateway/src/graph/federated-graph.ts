import { ApolloGateway } from '@apollo/gateway';
import type { Logger } from '@pca/service-kit';
import type { DocumentNode, ExecutionResult, GraphQLSchema } from 'graphql';
import type { Upstreams } from '../upstreams/upstreams.js';
import { type GraphContext, SubgraphDataSource } from './subgraph-data-source.js';
import { readSupergraph, watchSupergraph } from './supergraph-file.js';

type Executor = Awaited<ReturnType<ApolloGateway['load']>>['executor'];
type ExecutorRequest = Parameters<Executor>[0];

export interface GraphRequest {
  source: string;
  /** Identifies the source; plans are kept by it. */
  hash: string;
  document: DocumentNode;
  operationName: string | undefined;
  variables: Record<string, unknown>;
  context: GraphContext;
}

/** Plans, executes and merges over the services that a static supergraph names; the file is loaded again when it changes. */
export class FederatedGraph {
  private gateway: ApolloGateway | undefined;
  private executor: Executor | undefined;
  private current: GraphQLSchema | undefined;
  private readonly apolloLogger: ExecutorRequest['logger'];
  private readonly listeners: ((schema: GraphQLSchema) => void)[] = [];

  constructor(
    private readonly file: string,
    private readonly upstreams: Upstreams,
    private readonly logger: Logger,
  ) {
    this.apolloLogger = apolloLogger(logger);
  }

  /** Loads the file and watches it. Throws when it cannot be read, is no supergraph, or names a service whose URL is not known. */
  async start(): Promise<void> {
    const supergraphSdl = await readSupergraph(this.file);
    this.gateway = new ApolloGateway({
      supergraphSdl: ({ update }) => Promise.resolve({ supergraphSdl, cleanup: this.watch(supergraphSdl, update) }),
      buildService: ({ name }) => new SubgraphDataSource(this.upstreams.of(name)),
      logger: this.apolloLogger,
      __exposeQueryPlanExperimental: false,
      validateSupergraph: true,
    });
    this.gateway.onSchemaLoadOrUpdate(({ apiSchema }) => {
      this.current = apiSchema;
      for (const listener of this.listeners) listener(apiSchema);
    });
    const { executor } = await this.gateway.load();
    this.executor = executor;
  }

  /** The schema that clients see; undefined until the supergraph is loaded. */
  get schema(): GraphQLSchema | undefined {
    return this.current;
  }

  onSchema(listener: (schema: GraphQLSchema) => void): void {
    this.listeners.push(listener);
  }

  execute(request: GraphRequest): Promise<ExecutionResult> {
    if (!this.executor) throw new Error('the supergraph is not loaded');
    // The executor reads these alone; the rest of the request context belongs to servers with plugins and caches.
    const context: Pick<
      ExecutorRequest,
      'request' | 'document' | 'source' | 'queryHash' | 'operationName' | 'context' | 'metrics' | 'logger'
    > = {
      request: { query: request.source, operationName: request.operationName, variables: request.variables },
      document: request.document,
      source: request.source,
      queryHash: request.hash,
      operationName: request.operationName ?? null,
      context: request.context,
      metrics: {},
      logger: this.apolloLogger,
    };
    return this.executor(context as ExecutorRequest) as Promise<ExecutionResult>;
  }

  async stop(): Promise<void> {
    await this.gateway?.stop();
  }

  private watch(read: string, update: (sdl: string) => void): () => Promise<void> {
    const stop = watchSupergraph(
      this.file,
      read,
      (sdl) => {
        try {
          update(sdl);
          this.logger.info('the supergraph is loaded');
        } catch (error) {
          this.logger.error({ err: error }, 'the new supergraph is refused; the old one stays');
        }
      },
      (error) => this.logger.error({ err: error }, 'the supergraph cannot be read again; the old one stays'),
    );
    return () => Promise.resolve(stop());
  }
}

/** Apollo's lines about its own state are debug here; what a client or a service did wrong is answered, not logged. */
const apolloLogger = (logger: Logger): ExecutorRequest['logger'] => ({
  debug: (message) => logger.trace(String(message)),
  info: (message) => logger.debug(String(message)),
  warn: (message) => logger.warn(String(message)),
  error: (message) => logger.warn(String(message)),
});
