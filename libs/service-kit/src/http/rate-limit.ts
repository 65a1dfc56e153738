import { DomainError } from '@pca/errors';
import { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';

export interface RateLimit {
  /** Requests, or whatever is counted, of one key within the window. */
  points: number;
  windowSeconds: number;
}

/** Counts requests by key: in memory, or in Redis when there is one, so that several gateways share a limit. */
export class RateLimitStore {
  private constructor(
    private readonly limiter: RateLimiterMemory | RateLimiterRedis,
    private readonly redis?: Redis,
  ) {}

  static open(limit: RateLimit, redisUrl: string | undefined, onRedisError: (error: Error) => void): RateLimitStore {
    const memory = new RateLimiterMemory({ points: limit.points, duration: limit.windowSeconds, keyPrefix: 'pca' });
    if (!redisUrl) return new RateLimitStore(memory);
    const redis = new Redis(redisUrl, { enableOfflineQueue: false, maxRetriesPerRequest: 1, lazyConnect: false });
    redis.on('error', onRedisError);
    // While Redis is away each process counts by itself: a limit that is a little too wide beats refusing everybody.
    const limiter = new RateLimiterRedis({
      storeClient: redis,
      points: limit.points,
      duration: limit.windowSeconds,
      keyPrefix: 'pca:rate',
      insuranceLimiter: memory,
    });
    return new RateLimitStore(limiter, redis);
  }

  /**
   * Takes points from the key's budget; 0 only asks whether it is overdrawn. Throws RATE_LIMITED with `retryAfterSeconds` when they are not
   * there: what was asked for is taken all the same, so that who does not wait stays refused until the window ends.
   */
  async take(key: string, points = 1): Promise<void> {
    try {
      await this.limiter.consume(key, points);
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      const retryAfterSeconds = Math.max(1, Math.ceil(refusal.msBeforeNext / 1000));
      throw new DomainError('RATE_LIMITED', `Too many requests; try again in ${retryAfterSeconds} s`, { retryAfterSeconds });
    }
  }

  close(): void {
    this.redis?.disconnect();
  }
}
