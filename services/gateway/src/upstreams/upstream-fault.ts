import { DomainError, type ErrorCode } from '@pca/errors';

/** Why a service gave no answer that can be used; `mayRetry` when it is sure or likely that the next attempt meets a fresh connection. */
export class UpstreamFault extends DomainError {
  constructor(
    code: Extract<ErrorCode, 'SERVICE_UNAVAILABLE' | 'TIMEOUT' | 'BAD_GATEWAY'>,
    readonly service: string,
    message: string,
    readonly mayRetry: boolean,
    cause?: unknown,
  ) {
    super(code, message, { service }, { cause });
  }
}

export const isUpstreamFault = (error: unknown): error is UpstreamFault => error instanceof UpstreamFault;

const timeoutCodes = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);
const isTimeout = (error: unknown): boolean => {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return name === 'TimeoutError' || (typeof code === 'string' && timeoutCodes.has(code));
};

/** What a client is told of a failed connection: the name of the service, never its address. */
export const faultOf = (service: string, error: unknown): UpstreamFault => {
  if (isUpstreamFault(error)) return error;
  if (isTimeout(error)) return timeoutFault(service, error);
  if ((error as { code?: unknown } | undefined)?.code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
    return new UpstreamFault('BAD_GATEWAY', service, `The answer of ${service} is larger than the limit`, false, error);
  return new UpstreamFault('SERVICE_UNAVAILABLE', service, `${service} is not reachable`, true, error);
};

export const timeoutFault = (service: string, cause?: unknown): UpstreamFault =>
  new UpstreamFault('TIMEOUT', service, `${service} did not answer in time`, false, cause);

/** Statuses that a service, or a proxy before it, gives when it cannot work at all; undefined for an answer that is its own. */
export const faultOfStatus = (service: string, status: number): UpstreamFault | undefined => {
  if (status === 502 || status === 503) return new UpstreamFault('SERVICE_UNAVAILABLE', service, `${service} is not available`, true);
  if (status === 504) return timeoutFault(service);
  return undefined;
};
