import { errorCatalogue, type ErrorCode, isErrorCode } from '@pca/errors';
import { domainErrorOf, type Logger } from '@pca/service-kit';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { DocumentRefusal } from './document-store.js';

export interface ShownErrors {
  readonly status: number;
  readonly errors: readonly GraphQLFormattedError[];
}

const errorsMax = 100;
const messageLengthMax = 1_000;
/** Extensions that other GraphQL servers add and that show their insides. */
const hiddenExtensions = new Set(['stacktrace', 'exception', 'response', 'serviceName']);

/**
 * The mapping from what goes wrong with an operation to what the client sees: a code of the catalogue, the name of the service, nothing of
 * its insides.
 */
export class GraphErrors {
  constructor(
    private readonly logger: Logger,
    private readonly hideSuggestions: boolean,
  ) {}

  /** For what was thrown before anything was executed. */
  ofRefusal(thrown: unknown): ShownErrors {
    if (thrown instanceof DocumentRefusal) {
      return { status: errorCatalogue[thrown.code].status, errors: thrown.errors.map((error) => this.shown(error, thrown.code)) };
    }
    const error = domainErrorOf(thrown);
    if (error.code === 'INTERNAL_SERVER_ERROR') this.logger.error({ err: error.cause ?? error }, 'the operation failed');
    return {
      status: errorCatalogue[error.code].status,
      errors: [{ message: error.message, extensions: { ...error.details, code: error.code } }],
    };
  }

  /** For what an executed operation answers with. */
  ofExecution(errors: readonly Error[]): readonly GraphQLFormattedError[] {
    return errors.slice(0, errorsMax).map((error) => (error instanceof GraphQLError ? this.ofOne(error) : this.ofFault(error)));
  }

  private ofOne(error: GraphQLError): GraphQLFormattedError {
    const service = error.extensions['service'] ?? error.extensions['serviceName'];
    const code = error.extensions['code'];
    if (service === undefined && code === undefined)
      return isVariableError(error) ? this.shown(error, 'BAD_USER_INPUT') : this.ofFault(error);
    // A service that does not understand what the gateway planned has another schema than the supergraph says; the client is not to blame.
    if (code === 'GRAPHQL_VALIDATION_FAILED' || code === 'GRAPHQL_PARSE_FAILED') {
      this.logger.warn({ service, reason: error.message }, 'a service refused what was planned for it; is the supergraph stale?');
      return this.shown(new GraphQLError(`The answer of ${String(service)} cannot be used`, place(error)), 'BAD_GATEWAY', { service });
    }
    if (isErrorCode(code)) return this.shown(error, code, { service });
    this.logger.warn({ service, code, reason: error.message }, 'a service gave an error without a code of the catalogue');
    return this.shown(new GraphQLError(`${String(service)} failed`, place(error)), 'INTERNAL_SERVER_ERROR', { service });
  }

  private ofFault(error: Error): GraphQLFormattedError {
    this.logger.error({ err: error }, 'the operation failed');
    return {
      message: 'The request failed; the log of the gateway has the cause.',
      ...place(error as GraphQLError),
      extensions: { code: 'INTERNAL_SERVER_ERROR' },
    };
  }

  private shown(error: GraphQLError, code: ErrorCode, more: Record<string, unknown> = {}): GraphQLFormattedError {
    const extensions = Object.fromEntries(
      Object.entries({ ...error.extensions, ...more }).filter(([key, value]) => !hiddenExtensions.has(key) && value !== undefined),
    );
    const message = this.hideSuggestions ? error.message.replace(/ ?Did you mean.*$/s, '') : error.message;
    return {
      message: message.slice(0, messageLengthMax),
      ...(error.locations && { locations: error.locations }),
      ...(error.path && { path: error.path }),
      extensions: { ...extensions, code },
    };
  }
}

const isVariableError = (error: GraphQLError): boolean => error.message.startsWith('Variable "$');
const place = (error: GraphQLError) => ({ ...(error.path && { path: error.path }) });
