import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';

/** A write-only key of a workspace, as it is kept: never the key itself. */
export interface IngestKey {
  readonly id: string;
  readonly workspaceId: string;
  readonly name: string;
  /** SHA-256 of the key. */
  readonly digest: Buffer;
  readonly prefix: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  /** From here on it opens nothing, because another key took its place; null: until it is revoked. */
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

export type NewIngestKey = Pick<IngestKey, 'id' | 'workspaceId' | 'name' | 'digest' | 'prefix' | 'createdBy'>;

const columns = `id, workspace_id as "workspaceId", name, digest, prefix, created_by as "createdBy", created_at as "createdAt",
  expires_at as "expiresAt", revoked_at as "revokedAt"`;
const isLive = 'revoked_at is null and (expires_at is null or expires_at > now())';

export interface Replaced {
  readonly made: IngestKey;
  readonly former: IngestKey;
}

@Injectable()
export class IngestKeyStore {
  constructor(private readonly database: Database) {}

  /** The key with this digest, if it opens anything now. */
  async findLive(digest: Buffer): Promise<IngestKey | undefined> {
    const { rows } = await this.database.beside.query<IngestKey>(`select ${columns} from ingest_key where digest = $1 and ${isLive}`, [
      digest,
    ]);
    return rows[0];
  }

  /** Of the workspace, the newest first. */
  async list(workspaceId: string, limit: number): Promise<readonly IngestKey[]> {
    const { rows } = await this.database.beside.query<IngestKey>(
      `select ${columns} from ingest_key where workspace_id = $1 order by created_at desc, id desc limit $2`,
      [workspaceId, limit],
    );
    return rows;
  }

  /** Undefined when the workspace has as many live keys as it may; two made at the same instant may both find room. */
  async insert(key: NewIngestKey, liveMax: number): Promise<IngestKey | undefined> {
    const { rows } = await this.database.beside.query<IngestKey>(
      `insert into ingest_key (id, workspace_id, name, digest, prefix, created_by)
       select $1, $2, $3, $4, $5, $6 where (select count(*) from ingest_key where workspace_id = $2 and ${isLive}) < $7
       returning ${columns}`,
      [key.id, key.workspaceId, key.name, key.digest, key.prefix, key.createdBy, liveMax],
    );
    return rows[0];
  }

  /**
   * Puts a new key of the same name in the place of one that opens something without end; the former does so for the overlap still.
   * Undefined when the workspace has no such key.
   */
  async replace(key: Omit<NewIngestKey, 'name'>, formerId: string, overlapHours: number): Promise<Replaced | undefined> {
    const { rows } = await this.database.beside.query<IngestKey>(
      `with former as (
         update ingest_key set expires_at = now() + make_interval(hours => $7)
         where workspace_id = $2 and id = $6 and revoked_at is null and expires_at is null returning *
       ), made as (
         insert into ingest_key (id, workspace_id, name, digest, prefix, created_by)
         select $1, $2, former.name, $3, $4, $5 from former returning *
       )
       select ${columns} from made union all select ${columns} from former`,
      [key.id, key.workspaceId, key.digest, key.prefix, key.createdBy, formerId, overlapHours],
    );
    const made = rows.find(({ id }) => id === key.id);
    const former = rows.find(({ id }) => id === formerId);
    return made && former ? { made, former } : undefined;
  }

  /** Undefined when the workspace has no such key. One that is revoked already stays so since then. */
  async revoke(workspaceId: string, id: string): Promise<IngestKey | undefined> {
    const { rows } = await this.database.beside.query<IngestKey>(
      `update ingest_key set revoked_at = coalesce(revoked_at, now()) where workspace_id = $1 and id = $2 returning ${columns}`,
      [workspaceId, id],
    );
    return rows[0];
  }

  /** How many keys of this maker were revoked or replaced so far. */
  async countEnded(workspaceId: string, createdBy: string): Promise<number> {
    const { rows } = await this.database.beside.query<{ n: number }>(
      `select count(*)::int as n from ingest_key
       where workspace_id = $1 and created_by = $2 and (revoked_at is not null or expires_at is not null)`,
      [workspaceId, createdBy],
    );
    return rows[0]?.n ?? 0;
  }
}
