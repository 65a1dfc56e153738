import { DomainError, isDomainError } from '@pca/errors';
import type { RateLimitStore } from '@pca/service-kit';
import { LRUCache } from 'lru-cache';

const blockedMax = 10_000;
const acceptedMax = 10_000;
const acceptedMs = 60_000;

/**
 * Ingest keys that were refused too often, each with the address that it came from: nothing more with that key is handed on from there until
 * the window ends, so that one program with a bad key does not silence the others behind the same address. Who makes up ever other keys uses
 * up the wider budget of the address. A key that was accepted within the last minute is always handed on.
 */
export class IngestRefusals {
  private readonly blocked = new LRUCache<string, true>({ max: blockedMax });
  private readonly accepted = new LRUCache<string, true>({ max: acceptedMax, ttl: acceptedMs });

  constructor(
    /** Refusals of one key from one address. */
    private readonly ofKey: RateLimitStore,
    /** Refusals of all keys from one address. */
    private readonly ofAddress: RateLimitStore,
  ) {}

  /** Throws RATE_LIMITED. */
  check(address: string, keyId: string): void {
    const msLeft = Math.max(...placesOf(address, keyId).map((place) => this.blocked.getRemainingTTL(place)));
    if (msLeft <= 0 || this.accepted.has(keyId)) return;
    const retryAfterSeconds = Math.ceil(msLeft / 1000);
    throw new DomainError('RATE_LIMITED', `Too many requests with a refused key; try again in ${retryAfterSeconds} s`, {
      retryAfterSeconds,
    });
  }

  accept(keyId: string): void {
    this.accepted.set(keyId, true);
  }

  async refuse(address: string, keyId: string): Promise<void> {
    const [key, all] = placesOf(address, keyId);
    await Promise.all([this.count(this.ofKey, key), this.count(this.ofAddress, all)]);
  }

  private async count(budget: RateLimitStore, place: string): Promise<void> {
    try {
      await budget.take(place);
    } catch (error) {
      if (!isDomainError(error) || error.code !== 'RATE_LIMITED') throw error;
      this.blocked.set(place, true, { ttl: Number(error.details['retryAfterSeconds']) * 1000 });
    }
  }
}

const placesOf = (address: string, keyId: string): [string, string] => [`ingest:${address}:${keyId}`, `ingest:${address}`];
