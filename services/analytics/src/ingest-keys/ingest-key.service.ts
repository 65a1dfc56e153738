import { Injectable } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { LRUCache } from 'lru-cache';
import { v7 as uuidv7 } from 'uuid';
import { digestOf, isIngestKey, makeIngestKey, prefixOf } from './ingest-key.js';
import { type IngestKey, IngestKeyStore } from './ingest-key.store.js';

/** How long a key may still open something after another process has revoked it. */
const rememberedMs = 10_000;
const refusedMs = 2_000;

const refusal = (): DomainError =>
  new DomainError('UNAUTHENTICATED', 'An ingest key that is valid is required: as basic-auth user, bearer, or writeKey in the body');

@Injectable()
export class IngestKeyService {
  private readonly live = new LRUCache<string, IngestKey>({ max: 10_000, ttl: rememberedMs });
  /** Digests that open nothing: a client with an old key must not cost a query for each of its events. */
  private readonly refused = new LRUCache<string, true>({ max: 10_000, ttl: refusedMs });

  constructor(private readonly store: IngestKeyStore) {}

  /** Whose key this is. Throws UNAUTHENTICATED for one that is absent, wrong, revoked or expired. */
  async verify(key: string | undefined): Promise<IngestKey> {
    if (key === undefined || !isIngestKey(key)) throw refusal();
    const digest = digestOf(key);
    const name = digest.toString('base64');
    const known = this.live.get(name);
    if (known && (known.expiresAt === null || known.expiresAt.getTime() > Date.now())) return known;
    if (this.refused.has(name)) throw refusal();
    const found = await this.store.findLive(digest);
    if (!found) {
      this.refused.set(name, true);
      throw refusal();
    }
    this.live.set(name, found);
    return found;
  }

  /** A new key of the workspace, which is shown this once. */
  async create(workspaceId: string, createdBy: string, name: string): Promise<{ key: string; ingestKey: IngestKey }> {
    const key = makeIngestKey();
    const ingestKey = await this.store.insert({
      id: uuidv7(),
      workspaceId,
      name,
      digest: digestOf(key),
      prefix: prefixOf(key),
      createdBy,
    });
    return { key, ingestKey };
  }
}
