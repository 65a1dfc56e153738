import { Injectable } from '@nestjs/common';
import { Database } from '@pca/service-kit';
import { LRUCache } from 'lru-cache';

export type IpPolicy = 'DROP' | 'TRUNCATE' | 'HASH';

/** A workspace as this service knows it. */
export interface Workspace {
  /** Stands for the workspace in every row of this database. */
  readonly number: number;
  readonly id: string;
  readonly timeZone: string;
  /** ISO: 1 is Monday. */
  readonly firstDayOfWeek: number;
  readonly ipPolicy: IpPolicy;
  /** Secret of this workspace, 32 bytes, with which addresses and ids are hashed. */
  readonly ipSalt: Buffer;
  readonly retentionDays: number;
  /** How often texts were freed: what is remembered of their codes from before is void. */
  readonly textsFreed: number;
}

export type WorkspaceSettings = Pick<Workspace, 'id' | 'timeZone' | 'firstDayOfWeek' | 'ipPolicy'>;

const columns = `number, id, time_zone as "timeZone", first_day_of_week as "firstDayOfWeek", ip_policy as "ipPolicy", ip_salt as "ipSalt",
  retention_days as "retentionDays", texts_freed as "textsFreed"`;

/** How long a process may act on settings that another one has changed. */
const rememberedMs = 10_000;

@Injectable()
export class WorkspaceStore {
  private readonly known = new LRUCache<string, Workspace>({ max: 10_000, ttl: rememberedMs });

  constructor(private readonly database: Database) {}

  /** The workspace, made on its first use; settings may be ten seconds old. */
  async get(id: string): Promise<Workspace> {
    const known = this.known.get(id);
    if (known) return known;
    const found = await this.find(id);
    if (found) return found;
    await this.database.beside.query('insert into workspace (id) values ($1) on conflict do nothing', [id]);
    const made = await this.find(id);
    if (!made) throw new Error(`The workspace ${id} could not be made`);
    return made;
  }

  /** What campaigns announced. */
  async apply(settings: WorkspaceSettings): Promise<void> {
    const { id, timeZone, firstDayOfWeek, ipPolicy } = settings;
    await this.database.beside.query(
      `insert into workspace (id, time_zone, first_day_of_week, ip_policy) values ($1, $2, $3, $4)
       on conflict (id) do update set time_zone = $2, first_day_of_week = $3, ip_policy = $4`,
      [id, timeZone, firstDayOfWeek, ipPolicy],
    );
    this.forget(id);
  }

  /** The next look reads the settings anew. */
  forget(id: string): void {
    this.known.delete(id);
  }

  private async find(id: string): Promise<Workspace | undefined> {
    const { rows } = await this.database.beside.query<Workspace>(`select ${columns} from workspace where id = $1`, [id]);
    if (rows[0]) this.known.set(id, rows[0]);
    return rows[0];
  }
}
