import type { ErrorCode } from './catalogue.js';

/** What a caller may learn beside code and message: JSON values only, shown as it is in GraphQL extensions and in problem+json. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * A failure that the caller is told about. The message and the details leave the system as they are, so neither may hold SQL, paths or
 * secrets;
 * what a person on call needs goes into `cause`, which is logged and never sent.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

export const isDomainError = (error: unknown): error is DomainError =>
  error instanceof Error && error.name === 'DomainError' && 'code' in error && 'details' in error;
