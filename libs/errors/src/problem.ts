import { errorCatalogue, type ErrorCode } from './catalogue.js';
import { type ErrorDetails, isDomainError } from './domain-error.js';

/** RFC 9457 problem details with our stable `code`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly [extension: string]: unknown;
}

export const problemContentType = 'application/problem+json; charset=utf-8';

export const toProblem = (code: ErrorCode, detail: string, details: ErrorDetails = {}): Problem => {
  const { status, title } = errorCatalogue[code];
  return { ...details, type: `urn:pca-agent:error:${code}`, title, status, code, detail };
};

/** Any thrown value as a problem; what is not a DomainError says nothing about its cause. */
export const problemOf = (error: unknown): Problem =>
  isDomainError(error)
    ? toProblem(error.code, error.message, error.details)
    : toProblem('INTERNAL_SERVER_ERROR', 'The request failed; the log of the service has the cause.');
