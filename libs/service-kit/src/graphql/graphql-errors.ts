import { unwrapResolverError } from '@apollo/server/errors';
import { isErrorCode } from '@pca/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { domainErrorOf } from '../http/problem-filter.js';
import type { Logger } from '../observability/logger.js';

/** Codes of Apollo that say the same as one of ours. */
const sameAs: Readonly<Record<string, string>> = {
  PERSISTED_QUERY_NOT_FOUND: 'BAD_USER_INPUT',
  PERSISTED_QUERY_NOT_SUPPORTED: 'BAD_USER_INPUT',
  OPERATION_RESOLUTION_FAILURE: 'BAD_USER_INPUT',
};

/** One mapping from whatever a resolver threw to what a client sees: message, path and a code of the catalogue, never a stack trace. */
export const formatGraphqlError =
  (logger: Logger, options: { hideSuggestions: boolean }) =>
  (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const place = { ...(formatted.locations && { locations: formatted.locations }), ...(formatted.path && { path: formatted.path }) };
    const code = String(formatted.extensions?.['code'] ?? '');
    const original = unwrapResolverError(error);
    if (original instanceof GraphQLError && code !== 'INTERNAL_SERVER_ERROR') {
      const message = options.hideSuggestions ? formatted.message.replace(/ ?Did you mean.*$/s, '') : formatted.message;
      const { stacktrace: _stack, ...extensions } = (formatted.extensions ?? {}) as Record<string, unknown>;
      return { message, ...place, extensions: { ...extensions, code: isErrorCode(code) ? code : (sameAs[code] ?? 'BAD_USER_INPUT') } };
    }
    const domain = domainErrorOf(original);
    if (domain.code === 'INTERNAL_SERVER_ERROR') logger.error({ err: domain.cause ?? domain, path: formatted.path }, 'resolver failed');
    return { message: domain.message, ...place, extensions: { ...domain.details, code: domain.code } };
  };
