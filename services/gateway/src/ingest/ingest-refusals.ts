import { DomainError, isDomainError } from '@pca/errors';
import type { RateLimitStore } from '@pca/service-kit';
import { LRUCache } from 'lru-cache';

const addressesMax = 10_000;
const keysMax = 10_000;
const keyLengthMax = 512;
const acceptedMs = 60_000;

/**
 * Addresses whose ingest keys were refused too often. Nothing more of them is handed on until their window ends, except with a key that was
 * accepted within the last minute: one program with a bad key must not silence the others behind the same address.
 */
export class IngestRefusals {
  private readonly blocked = new LRUCache<string, true>({ max: addressesMax });
  private readonly accepted = new LRUCache<string, true>({ max: keysMax, ttl: acceptedMs });

  constructor(private readonly budget: RateLimitStore) {}

  /** Throws RATE_LIMITED. `authorization`: the header that holds the key; a key in the body is not looked at. */
  check(address: string, authorization: string | undefined): void {
    const msLeft = this.blocked.getRemainingTTL(address);
    if (msLeft <= 0 || (authorization !== undefined && this.accepted.has(authorization))) return;
    const retryAfterSeconds = Math.ceil(msLeft / 1000);
    throw new DomainError('RATE_LIMITED', `Too many requests with a refused key; try again in ${retryAfterSeconds} s`, {
      retryAfterSeconds,
    });
  }

  accept(authorization: string | undefined): void {
    if (authorization !== undefined && authorization.length <= keyLengthMax) this.accepted.set(authorization, true);
  }

  async refuse(address: string): Promise<void> {
    try {
      await this.budget.take(`ingest:${address}`);
    } catch (error) {
      if (!isDomainError(error) || error.code !== 'RATE_LIMITED') throw error;
      this.blocked.set(address, true, { ttl: Number(error.details['retryAfterSeconds']) * 1000 });
    }
  }
}
