import { Injectable } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { type CallContext, parseInput } from '@pca/service-kit';
import { LRUCache } from 'lru-cache';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { digestOf, isIngestKey, makeIngestKey, prefixOf } from './ingest-key.js';
import { type IngestKey, IngestKeyStore, type NewIngestKey } from './ingest-key.store.js';

/** How long a key may still open something after another process has revoked it. */
const rememberedMs = 10_000;
const refusedMs = 2_000;
const liveMax = 100;
const listedMax = 1_000;

const nameSchema = z.string().trim().min(1).max(256);
const overlapSchema = z.int().min(0).max(720);

/** A key that nobody sees again, beside what is kept of it. */
export interface MadeIngestKey {
  readonly key: string;
  readonly ingestKey: IngestKey;
}

const refusal = (): DomainError =>
  new DomainError('UNAUTHENTICATED', 'An ingest key that is valid is required: as basic-auth user, bearer, or writeKey in the body');
const notFound = (): DomainError => new DomainError('NOT_FOUND', 'There is no such ingest key, or it has ended');

@Injectable()
export class IngestKeyService {
  private readonly live = new LRUCache<string, IngestKey>({ max: 10_000, ttl: rememberedMs });
  /** Digests that open nothing: a client with an old key must not cost a query for each of its events. */
  private readonly refused = new LRUCache<string, true>({ max: 10_000, ttl: refusedMs });
  /** Counts what this process has ended, so that no look that began before brings it back. */
  private endings = 0;

  constructor(private readonly store: IngestKeyStore) {}

  /** Whose key this is. Throws UNAUTHENTICATED for one that is absent, wrong, revoked or expired. */
  async verify(key: string | undefined): Promise<IngestKey> {
    if (key === undefined || !isIngestKey(key)) throw refusal();
    const digest = digestOf(key);
    const name = cacheKeyOf(digest);
    const known = this.live.get(name);
    if (known && (known.expiresAt === null || known.expiresAt.getTime() > Date.now())) return known;
    if (this.refused.has(name)) throw refusal();
    const { endings } = this;
    const found = await this.store.findLive(digest);
    if (!found) {
      this.refused.set(name, true);
      throw refusal();
    }
    if (endings === this.endings) this.live.set(name, found);
    return found;
  }

  list({ workspaceId }: CallContext): Promise<readonly IngestKey[]> {
    return this.store.list(workspaceId, listedMax);
  }

  create({ workspaceId, actor }: CallContext, input: { name: string }): Promise<MadeIngestKey> {
    return this.insert(makeIngestKey(), { workspaceId, createdBy: actor, name: parseInput(nameSchema, input.name, 'name') });
  }

  /** Throws NOT_FOUND unless the workspace has such a key, which is neither revoked nor replaced. */
  async rotate({ workspaceId, actor }: CallContext, id: string, overlapHours: number): Promise<MadeIngestKey> {
    const hours = parseInput(overlapSchema, overlapHours, 'overlapHours');
    if (!isId(id)) throw notFound();
    const key = makeIngestKey();
    const replaced = await this.store.replace(newKeyOf(key, { workspaceId, createdBy: actor }), id, hours);
    if (!replaced) throw notFound();
    this.forget(replaced.former);
    return { key, ingestKey: replaced.made };
  }

  /** Over at once in this process, and within ten seconds in the others. Throws NOT_FOUND when the workspace has no such key. */
  async revoke({ workspaceId }: CallContext, id: string): Promise<IngestKey> {
    const revoked = isId(id) ? await this.store.revoke(workspaceId, id) : undefined;
    if (!revoked) throw notFound();
    this.forget(revoked);
    return revoked;
  }

  /**
   * A key that follows from a secret, so that it can be told again. `keyOf` makes it for the number of those that were made so and have
   * ended; it is stored when it is not there yet.
   */
  async derive(workspaceId: string, createdBy: string, keyOf: (ended: number) => string): Promise<string> {
    const key = keyOf(await this.store.countEnded(workspaceId, createdBy));
    if (!(await this.store.findLive(digestOf(key)))) await this.insert(key, { workspaceId, createdBy, name: createdBy });
    return key;
  }

  private async insert(key: string, about: Pick<NewIngestKey, 'workspaceId' | 'createdBy' | 'name'>): Promise<MadeIngestKey> {
    const ingestKey = await this.store.insert({ ...about, ...newKeyOf(key, about) }, liveMax);
    if (!ingestKey) throw new DomainError('BAD_USER_INPUT', `A workspace has at most ${liveMax} ingest keys; revoke one first`);
    return { key, ingestKey };
  }

  private forget({ digest }: IngestKey): void {
    this.endings += 1;
    this.live.delete(cacheKeyOf(digest));
  }
}

const cacheKeyOf = (digest: Buffer): string => digest.toString('base64');
const isId = (id: string): boolean => z.uuid().safeParse(id).success;
const newKeyOf = (key: string, about: Pick<NewIngestKey, 'workspaceId' | 'createdBy'>): Omit<NewIngestKey, 'name'> => ({
  ...about,
  id: uuidv7(),
  digest: digestOf(key),
  prefix: prefixOf(key),
});
