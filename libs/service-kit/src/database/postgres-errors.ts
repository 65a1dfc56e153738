import { DomainError, type ErrorCode } from '@pca/errors';

/** What a failed query means to the caller, by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const bySqlState: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  '22003': ['BAD_USER_INPUT', 'A number is out of range'],
  '22021': ['BAD_USER_INPUT', 'A text holds a character that cannot be stored'],
  '22P05': ['BAD_USER_INPUT', 'A text holds a character that cannot be stored'],
  '22007': ['BAD_USER_INPUT', 'A date or time is not valid'],
  '22008': ['BAD_USER_INPUT', 'A date or time is out of range'],
  '23505': ['CONFLICT', 'There is such a thing already'],
  '25006': ['SERVICE_UNAVAILABLE', 'The database takes no writes'],
  '25P03': ['SERVICE_UNAVAILABLE', 'The database ended a transaction that was idle'],
  '3D000': ['SERVICE_UNAVAILABLE', 'The database is not there'],
  '40001': ['SERVICE_UNAVAILABLE', 'The database is busy; try again'],
  '40P01': ['SERVICE_UNAVAILABLE', 'The database is busy; try again'],
  '55P03': ['SERVICE_UNAVAILABLE', 'The database is busy; try again'],
  '53100': ['SERVICE_UNAVAILABLE', 'The database has no space left'],
  '53200': ['SERVICE_UNAVAILABLE', 'The database has no memory left'],
  '53300': ['SERVICE_UNAVAILABLE', 'The database has no connection left'],
  '57014': ['TIMEOUT', 'The query took too long'],
  '57P01': ['SERVICE_UNAVAILABLE', 'The database is restarting'],
  '57P02': ['SERVICE_UNAVAILABLE', 'The database is restarting'],
  '57P03': ['SERVICE_UNAVAILABLE', 'The database is starting'],
};

const connectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const connectionMessages =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Connection ended unexpectedly|Query runner already released|QueryRunnerAlreadyReleased|connection is closed/i;

/** What TypeORM throws when it works on with a connection that has just been lost. */
const lostRunners = new Set(['QueryRunnerProviderAlreadyReleasedError', 'QueryRunnerAlreadyReleasedError', 'TransactionNotStartedError']);

/** The DomainError that a database failure amounts to; undefined when it is none that a caller can act on. */
export const domainErrorOfDatabase = (error: unknown): DomainError | undefined => {
  if (!(error instanceof Error)) return undefined;
  // Whatever kept a connection from being made: a socket of a server that has ended is not there, that of a busy one is full.
  const couldNotConnect = (error as { syscall?: unknown }).syscall === 'connect';
  const code = String((error as { code?: unknown }).code ?? (error as { driverError?: { code?: unknown } }).driverError?.code ?? '');
  const known = bySqlState[code];
  if (known) return new DomainError(known[0], known[1], {}, { cause: error });
  if (
    couldNotConnect ||
    connectionCodes.has(code) ||
    /^(08|28|57P|58)/.test(code) ||
    lostRunners.has(error.name) ||
    connectionMessages.test(error.message)
  ) {
    return new DomainError('SERVICE_UNAVAILABLE', 'The database is not reachable', {}, { cause: error });
  }
  return undefined;
};
