import { DomainError } from '@pca/errors';
import {
  type DocumentNode,
  getOperationAST,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { DocumentStore } from './document-store.js';
import type { FederatedGraph } from './federated-graph.js';
import { type GraphErrors, type ShownErrors } from './graph-errors.js';
import type { GraphParameters } from './graph-request.js';
import { checkVariables, type QueryLimits } from './query-limits.js';
import type { GraphContext } from './subgraph-data-source.js';

export interface GraphAnswer {
  status: number;
  operation: string;
  type: string;
  body: { data?: unknown; errors?: readonly GraphQLFormattedError[] };
}

/** One operation from its text to the answer: limits, validation, execution, errors as clients see them. */
export class GraphService {
  private readonly documents: DocumentStore;

  constructor(
    private readonly graph: FederatedGraph,
    private readonly errors: GraphErrors,
    private readonly limits: QueryLimits,
    introspection: boolean,
  ) {
    this.documents = new DocumentStore(limits, introspection);
    graph.onSchema(() => this.documents.clear());
  }

  async answer(parameters: GraphParameters, context: GraphContext): Promise<GraphAnswer> {
    let operation: OperationDefinitionNode | undefined;
    try {
      const { schema } = this.graph;
      if (!schema) throw new DomainError('SERVICE_UNAVAILABLE', 'The supergraph is not loaded yet');
      checkVariables(parameters.variables, this.limits);
      const { document, hash } = this.documents.accept(parameters.query, schema, parameters.variables);
      operation = operationOf(document, parameters.operationName, schema);
      const result = await this.graph.execute({
        source: parameters.query,
        hash,
        document,
        operationName: parameters.operationName,
        variables: parameters.variables,
        context,
      });
      const errors = [...(result.errors ?? []), ...valueErrorsOf(result.extensions)];
      if (errors.length === 0) return this.made(operation, 200, { data: result.data });
      const shown = this.errors.ofExecution(errors);
      // Without data nothing was executed: the variables did not fit.
      return result.data === undefined
        ? this.made(operation, 400, { errors: shown })
        : this.made(operation, 200, { errors: shown, data: result.data });
    } catch (thrown) {
      const { status, errors } = this.errors.ofRefusal(thrown);
      return this.made(operation, status, { errors });
    }
  }

  refusal(thrown: unknown): ShownErrors {
    return this.errors.ofRefusal(thrown);
  }

  private made(operation: OperationDefinitionNode | undefined, status: number, body: GraphAnswer['body']): GraphAnswer {
    return { status, body, operation: operation?.name?.value ?? 'anonymous', type: operation?.operation ?? 'unknown' };
  }
}

/** Throws BAD_USER_INPUT when the document does not say which of its operations is meant. */
const operationOf = (document: DocumentNode, name: string | undefined, schema: GraphQLSchema): OperationDefinitionNode => {
  const operation = getOperationAST(document, name);
  // Validation passes over a kind of operation that the schema does not have.
  if (operation && !schema.getRootType(operation.operation))
    throw new DomainError('BAD_USER_INPUT', `The graph has no ${operation.operation}s`);
  if (operation) return operation;
  throw new DomainError(
    'BAD_USER_INPUT',
    name === undefined
      ? 'The document holds several operations; say which by "operationName"'
      : 'The document holds no operation of that name',
  );
};

/** What the gateway nulls because a service broke its schema stands apart from the errors; clients read the errors. */
const valueErrorsOf = (extensions: Record<string, unknown> | undefined): GraphQLError[] => {
  const found = extensions?.['valueCompletion'] as readonly GraphQLError[] | undefined;
  return found?.map(({ message, path }) => new GraphQLError(message, { path: path ?? null, extensions: { code: 'BAD_GATEWAY' } })) ?? [];
};
