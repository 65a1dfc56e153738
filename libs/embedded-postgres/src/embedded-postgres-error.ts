/** Why the embedded server cannot be had: each is something that a person can act on. */
export type EmbeddedPostgresFault =
  | 'UNSUPPORTED_PLATFORM'
  | 'IN_USE'
  | 'OTHER_VERSION'
  | 'NOT_RUNNABLE_AS_ROOT'
  | 'PORT_TAKEN'
  | 'DISK_FULL'
  | 'PASSWORD_LOST'
  | 'START_FAILED';

/** The message is one line that says what to do; the server's own last words, when there are any, are in `serverLog`. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';

  constructor(
    readonly fault: EmbeddedPostgresFault,
    message: string,
    readonly serverLog: readonly string[] = [],
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}
