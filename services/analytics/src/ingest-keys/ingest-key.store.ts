import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';

/** A write-only key of a workspace, as it is shown: never the key itself. */
export interface IngestKey {
  readonly id: string;
  readonly workspaceId: string;
  readonly name: string;
  readonly prefix: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  /** From here on it opens nothing; null: until it is revoked. */
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

export type NewIngestKey = Pick<IngestKey, 'id' | 'workspaceId' | 'name' | 'prefix' | 'createdBy'> & { readonly digest: Buffer };

const columns = `id, workspace_id as "workspaceId", name, prefix, created_by as "createdBy", created_at as "createdAt",
  expires_at as "expiresAt", revoked_at as "revokedAt"`;

@Injectable()
export class IngestKeyStore {
  constructor(private readonly database: Database) {}

  /** The key with this digest, if it opens anything now. */
  async findLive(digest: Buffer): Promise<IngestKey | undefined> {
    const { rows } = await this.database.pool.query<IngestKey>(
      `select ${columns} from ingest_key where digest = $1 and revoked_at is null and (expires_at is null or expires_at > now())`,
      [digest],
    );
    return rows[0];
  }

  async insert({ id, workspaceId, name, digest, prefix, createdBy }: NewIngestKey): Promise<IngestKey> {
    const { rows } = await this.database.pool.query<IngestKey>(
      `insert into ingest_key (id, workspace_id, name, digest, prefix, created_by) values ($1, $2, $3, $4, $5, $6) returning ${columns}`,
      [id, workspaceId, name, digest, prefix, createdBy],
    );
    return rows[0] as IngestKey;
  }
}
