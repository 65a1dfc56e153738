import { isDomainError } from '@pca/errors';
import { inSpan, outgoingPool, SpanKind, tracingEnabled, activeTraceparent } from '@pca/service-kit';
import { circuitBreaker, CircuitState, ConsecutiveBreaker, ExponentialBackoff, handleWhen } from 'cockatiel';
import type { Dispatcher } from 'undici';
import { exchange, type TextAnswer } from './exchange.js';
import { faultOf, faultOfStatus, isUpstreamFault, UpstreamFault } from './upstream-fault.js';
import { breakerState, type Outcome, upstreamRetriesTotal, upstreamSeconds } from './upstream-metrics.js';

export interface UpstreamOptions {
  /** Longest wait for an answer, milliseconds, a retry included. */
  msMax: number;
  bytesMax: number;
  connectionsMax: number;
  /** Requests under way, those that wait for a connection included. */
  waitingMax: number;
}

export interface UpstreamRequest {
  path: string;
  method: Dispatcher.HttpMethod;
  headers: Record<string, string | string[]>;
  body?: string | Buffer;
}

type Seconds = ReturnType<typeof upstreamSeconds.labels>;

const failuresToOpen = 5;
const connectMsMax = 2_000;
const closedState = { [CircuitState.Closed]: 0, [CircuitState.HalfOpen]: 1, [CircuitState.Open]: 2, [CircuitState.Isolated]: 2 } as const;

/**
 * One service behind the gateway: its connections, its breaker and its metrics. After five failures in a row the breaker opens and requests
 * fail at once; after a pause that grows from one to ten seconds a single request probes, and only its success lets the others through.
 */
export class Upstream {
  private readonly pool: Dispatcher;
  private readonly breaker = circuitBreaker(handleWhen(isUpstreamFault), {
    halfOpenAfter: new ExponentialBackoff({ initialDelay: 1_000, maxDelay: 10_000 }),
    breaker: new ConsecutiveBreaker(failuresToOpen),
  });
  private readonly seconds = new Map<Outcome, Seconds>();
  private underWay = 0;

  constructor(
    readonly name: string,
    readonly baseUrl: URL,
    private readonly options: UpstreamOptions,
  ) {
    this.pool = outgoingPool(baseUrl.origin, {
      connections: options.connectionsMax,
      connect: { timeout: connectMsMax },
      // The time of a whole answer is kept by the caller; these only end what no caller waits for any more.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    breakerState.set({ service: name }, 0);
    this.breaker.onStateChange((state) => breakerState.set({ service: name }, closedState[state]));
  }

  /** One exchange with a body that fits into memory. Throws UpstreamFault. `retry` allows a second attempt within the same time. */
  async ask(request: UpstreamRequest, options: { retry: boolean; deadlineMs: number }): Promise<TextAnswer> {
    const deadlineMs = Math.min(options.deadlineMs, Date.now() + this.options.msMax);
    try {
      return await this.attempt(request, deadlineMs);
    } catch (error) {
      if (!options.retry || !isUpstreamFault(error) || !error.mayRetry || Date.now() >= deadlineMs) throw error;
      upstreamRetriesTotal.inc({ service: this.name });
      return this.attempt(request, deadlineMs);
    }
  }

  /**
   * One exchange whose answer is to be handed on as it is. A 503 in it is the service's own word about something that it needs, so that it
   * does not open the breaker. Throws UpstreamFault.
   */
  pass(request: UpstreamRequest, deadlineMs: number): Promise<TextAnswer> {
    return this.guarded(() => this.send(request, Math.min(deadlineMs, Date.now() + this.options.msMax)));
  }

  /** Through the breaker, with the answer as a stream. Throws UpstreamFault, or what `send` throws that says nothing about the service. */
  async stream(send: (pool: Dispatcher) => Promise<Dispatcher.ResponseData>): Promise<Dispatcher.ResponseData> {
    return this.guarded(async () => {
      try {
        return await send(this.pool);
      } catch (error) {
        throw isDomainError(error) ? error : faultOf(this.name, error);
      }
    });
  }

  close(): Promise<void> {
    return this.pool.destroy();
  }

  private attempt(request: UpstreamRequest, deadlineMs: number): Promise<TextAnswer> {
    return this.guarded(async () => {
      const answer = await this.send(request, deadlineMs);
      const fault = faultOfStatus(this.name, answer.status);
      if (fault) throw fault;
      return answer;
    });
  }

  private send(request: UpstreamRequest, deadlineMs: number): Promise<TextAnswer> {
    const limits = { service: this.name, msMax: Math.max(1, deadlineMs - Date.now()), bytesMax: this.options.bytesMax };
    if (!tracingEnabled()) return exchange(this.pool, request, limits);
    return inSpan(`${request.method} ${this.name}`, SpanKind.CLIENT, { 'server.address': this.name, 'url.path': request.path }, () =>
      exchange(this.pool, { ...request, headers: { ...request.headers, traceparent: activeTraceparent() ?? '' } }, limits),
    );
  }

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    // While one request probes, the others do not wait for it: a service that hangs would hold them all.
    if (this.breaker.state === CircuitState.HalfOpen) throw this.refusal();
    if (this.underWay >= this.options.waitingMax)
      throw new UpstreamFault('SERVICE_UNAVAILABLE', this.name, `Too many requests are waiting for ${this.name}`, false);
    this.underWay += 1;
    const startMs = performance.now();
    let outcome: Outcome = 'ok';
    try {
      return await this.breaker.execute(work);
    } catch (error) {
      const fault = isBroken(error) ? this.refusal() : error;
      outcome = outcomeOf(fault, isBroken(error));
      throw fault;
    } finally {
      this.underWay -= 1;
      this.secondsOf(outcome).observe((performance.now() - startMs) / 1000);
    }
  }

  /** The series of an outcome, looked up once: its labels are hashed otherwise for every request. */
  private secondsOf(outcome: Outcome): Seconds {
    const known = this.seconds.get(outcome);
    if (known) return known;
    const made = upstreamSeconds.labels({ service: this.name, outcome });
    this.seconds.set(outcome, made);
    return made;
  }

  private refusal(): UpstreamFault {
    return new UpstreamFault('SERVICE_UNAVAILABLE', this.name, `${this.name} is not available; it is tried again in a few seconds`, false);
  }
}

const isBroken = (error: unknown): boolean => (error as { isBrokenCircuitError?: boolean } | undefined)?.isBrokenCircuitError === true;

const outcomeOf = (error: unknown, broken: boolean): Outcome => {
  if (broken) return 'breaker_open';
  if (!isUpstreamFault(error)) return 'refused';
  if (error.code === 'TIMEOUT') return 'timeout';
  return error.code === 'BAD_GATEWAY' ? 'unusable' : 'unavailable';
};
