import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import pLimit, { type LimitFunction } from 'p-limit';
import type { QueryResultRow } from 'pg';

/**
 * Where questions about events are asked. They take at most half of the service's connections, so that however much is asked at once, what
 * comes in is still written. A question that takes longer than the service allows ends with TIMEOUT.
 */
@Injectable()
export class Questions {
  private limit: LimitFunction | undefined;

  constructor(private readonly database: Database) {}

  async ask<T extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<T[]> {
    this.limit ??= pLimit(Math.max(1, Math.floor((this.database.pool.options.max ?? 10) / 2)));
    const { rows } = await this.limit(() => this.database.pool.query<T>(text, [...values]));
    return rows;
  }
}
