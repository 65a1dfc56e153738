import { counter, gauge, histogram } from '@pca/service-kit';

export type Outcome = 'ok' | 'refused' | 'unavailable' | 'timeout' | 'unusable' | 'breaker_open';

export const upstreamSeconds = histogram('pca_gateway_upstream_seconds', 'Time of requests to a service by outcome', [
  'service',
  'outcome',
]);
export const upstreamRetriesTotal = counter('pca_gateway_upstream_retries_total', 'Requests to a service that were sent a second time', [
  'service',
]);
/** 0 closed, 1 half open, 2 open. */
export const breakerState = gauge('pca_gateway_breaker_state', 'Breaker of a service: 0 closed, 1 half open, 2 open', ['service']);
