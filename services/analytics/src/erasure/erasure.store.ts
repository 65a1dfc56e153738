import { Injectable } from '@nestjs/common';
import { Database, type Transaction } from '@pca/service-kit';
import { workspaceLockNamespace } from '../timelines/workspace-lock.js';

export const erasureStates = ['ERASING', 'WAITING_FOR_BUS', 'DONE'] as const;
export type ErasureState = (typeof erasureStates)[number];

export interface Erasure {
  readonly id: string;
  readonly state: ErasureState;
  readonly requestedAt: Date;
  readonly requestedBy: string;
  readonly storesCleanAt: Date | null;
  readonly doneAt: Date | null;
  readonly eventsDeleted: number;
}

/** An id that a person had. */
export interface ErasedId {
  readonly isKnown: boolean;
  readonly id: string;
}

const columns = `e.id, e.state, e.requested_at as "requestedAt", e.requested_by as "requestedBy", e.stores_clean_at as "storesCleanAt",
  e.done_at as "doneAt", e.events_deleted::float8 as "eventsDeleted"`;

/** Ids of one statement and one event: 768 kB of the longest ids still fit into a message of the bus. */
export const idsAtOnceMax = 500;
/** Whoever writes waits behind a lock that is waited for. */
const lockWait = '5s';

@Injectable()
export class ErasureStore {
  constructor(private readonly database: Database) {}

  async find(workspaceId: string, id: string): Promise<Erasure | null> {
    const { rows } = await this.database.pool.query<Erasure>(
      `select ${columns} from erasure e join workspace w on w.number = e.workspace where w.id = $1 and e.id = $2`,
      [workspaceId, id],
    );
    return rows[0] ?? null;
  }

  /**
   * Keeps everybody out who writes events of the workspace, until the transaction ends; what was being written is committed then. Answers
   * with the moment from which on new events count. SERVICE_UNAVAILABLE when somebody writes for more than five seconds.
   */
  async lockAlone(transaction: Transaction, workspace: number): Promise<Date> {
    await transaction.query(`set local lock_timeout = '${lockWait}'`);
    await transaction.query('select pg_advisory_xact_lock($1, $2)', [workspaceLockNamespace, workspace]);
    const [clock] = await transaction.query<[{ now: Date }]>('select clock_timestamp() as now');
    return clock.now;
  }

  /** The canonical number of whoever has this id: as a user, else as an anonymous one. */
  async canonicalOf(transaction: Transaction, workspace: number, id: string): Promise<number | undefined> {
    const found = await transaction.query<{ canonical: number }[]>(
      'select canonical from person where workspace = $1 and external_id = $2 order by is_known desc limit 1',
      [workspace, id],
    );
    return found[0]?.canonical;
  }

  /** The latest erasure of whoever had this id, as a user, else as an anonymous one. */
  async byDigests(transaction: Transaction, workspace: number, digests: readonly Buffer[]): Promise<Erasure | undefined> {
    const found = await transaction.query<Erasure[]>(
      `select ${columns} from unnest($2::bytea[]) with ordinality as d (digest, position)
       join tombstone t on t.workspace = $1 and t.digest = d.digest join erasure e on e.id = t.erasure
       order by d.position limit 1`,
      [workspace, digests],
    );
    return found[0];
  }

  /**
   * Takes up to 500 ids of a person away: their rows are gone, their digests stay, and their numbers are remembered until their events are
   * gone as well. Empty when there are no more.
   */
  async takeIds(
    transaction: Transaction,
    { erasure, workspace, canonical, erasedAt }: { erasure: string; workspace: number; canonical: number; erasedAt: Date },
  ): Promise<ErasedId[]> {
    return transaction.query<ErasedId[]>(
      `with gone as (
         delete from person where id in (select id from person where canonical = $3 and workspace = $2 limit ${idsAtOnceMax})
         returning id, is_known, external_id
       ), numbers as (
         insert into erasure_person (erasure, person) select $1, id from gone
       ), stones as (
         insert into tombstone (workspace, digest, erased_at, erasure)
         select $2, sha256(w.ip_salt || convert_to(case when is_known then 'u' else 'a' end || external_id, 'UTF8')), $4, $1
         from gone join workspace w on w.number = $2
         on conflict (workspace, digest) do update set erased_at = greatest(tombstone.erased_at, excluded.erased_at), erasure = excluded.erasure
       )
       select is_known as "isKnown", external_id as id from gone`,
      [erasure, workspace, canonical, erasedAt],
    );
  }

  /** Writes the request down, and tells whoever has ids of the workspace in memory that they are no longer true. */
  async add(transaction: Transaction, erasure: { id: string; workspace: number; requestedBy: string }): Promise<Erasure> {
    await transaction.query('update workspace set erasures = erasures + 1 where number = $1', [erasure.workspace]);
    const [added] = await transaction.query<[Erasure]>(
      `insert into erasure as e (id, workspace, requested_by, state) values ($1, $2, $3, 'ERASING') returning ${columns}`,
      [erasure.id, erasure.workspace, erasure.requestedBy],
    );
    return added;
  }
}
