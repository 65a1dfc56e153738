import type { ServiceRequest } from '@pca/service-kit';
import type { Visitor } from './reading/event-context.js';

/**
 * A browser names its origin; what a server says of itself says nothing of the visitor. The address is the gateway's word, which takes none
 * from a client: nothing else may reach this service.
 */
export const visitorOf = ({ headers }: ServiceRequest): Visitor => {
  if (headers.origin === undefined) return {};
  const forwarded = headers['x-forwarded-for'];
  return { userAgent: headers['user-agent'], address: (Array.isArray(forwarded) ? forwarded[0] : forwarded)?.split(',')[0]?.trim() };
};
