/**
 * Every error code that leaves the system: its HTTP status, the title that a caller reads, and whether the same request may succeed later.
 * docs/errors.md is checked against this table.
 */
export const errorCatalogue = {
  BAD_USER_INPUT: { status: 400, title: 'The request is not valid', retryable: false },
  GRAPHQL_PARSE_FAILED: { status: 400, title: 'The GraphQL document cannot be parsed', retryable: false },
  GRAPHQL_VALIDATION_FAILED: { status: 400, title: 'The GraphQL document does not fit the schema', retryable: false },
  BAD_REQUEST: { status: 400, title: 'The HTTP request cannot be read', retryable: false },
  CSRF_REFUSED: { status: 400, title: 'The request could have been sent by a foreign page', retryable: false },
  QUERY_TOO_COMPLEX: { status: 400, title: 'The query is larger than the limits allow', retryable: false },
  TOO_MANY_EVENT_NAMES: { status: 400, title: 'The workspace has as many event names as it may', retryable: false },
  UNAUTHENTICATED: { status: 401, title: 'No valid token', retryable: false },
  FORBIDDEN: { status: 403, title: 'The token does not allow this', retryable: false },
  NOT_FOUND: { status: 404, title: 'No such thing in this workspace', retryable: false },
  METHOD_NOT_ALLOWED: { status: 405, title: 'This path does not answer that method', retryable: false },
  REQUEST_TIMEOUT: { status: 408, title: 'The request did not arrive in time', retryable: true },
  CONFLICT: { status: 409, title: 'The thing has changed in the meantime', retryable: false },
  IDEMPOTENCY_KEY_REUSED: { status: 409, title: 'This idempotency key was used for another request', retryable: false },
  PAYLOAD_TOO_LARGE: { status: 413, title: 'The body is larger than the limit', retryable: false },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'This content type is not understood here', retryable: false },
  IMPORT_UNREADABLE: { status: 422, title: 'The file cannot be read as ad performance', retryable: false },
  RATE_LIMITED: { status: 429, title: 'Too many requests for this token', retryable: true },
  INTERNAL_SERVER_ERROR: { status: 500, title: 'Something went wrong on our side', retryable: true },
  BAD_GATEWAY: { status: 502, title: 'A service gave an answer that cannot be used', retryable: true },
  SERVICE_UNAVAILABLE: { status: 503, title: 'A service is not reachable', retryable: true },
  TIMEOUT: { status: 504, title: 'A service did not answer in time', retryable: true },
} as const satisfies Record<string, { status: number; title: string; retryable: boolean }>;

export type ErrorCode = keyof typeof errorCatalogue;

export const isErrorCode = (value: unknown): value is ErrorCode => typeof value === 'string' && Object.hasOwn(errorCatalogue, value);
