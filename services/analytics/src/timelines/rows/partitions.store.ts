import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { LRUCache } from 'lru-cache';

/** Days made in one transaction: each takes a handful of the server's locks. */
const atOnceMax = 32;

/** Partitions of `event`, one for each UTC day, numbered from 1970-01-01. */
@Injectable()
export class Partitions {
  private readonly made = new LRUCache<number, true>({ max: 10_000 });

  constructor(private readonly database: Database) {}

  /** Makes those of these days that are missing, in transactions of its own; nobody who reads or writes waits for it. */
  async ensure(days: ReadonlySet<number>): Promise<void> {
    const missing = [...days].filter((day) => !this.made.get(day)).sort((a, b) => a - b);
    for (let i = 0; i < missing.length; i += atOnceMax) {
      const some = missing.slice(i, i + atOnceMax);
      await this.database.beside.query('select ensure_event_days($1)', [some]);
      for (const day of some) this.made.set(day, true);
    }
  }

  /** For when one of them turns out to be gone. */
  forget(): void {
    this.made.clear();
  }
}
