import pLimit from 'p-limit';
import pg from 'pg';
import type { Begun } from '../delivery/partition-delivery.js';
import type { LogRow } from './packed-rows.js';

/** A move of a position, as the statement takes it. */
export interface Advance {
  readonly consumerId: number;
  readonly partition: number;
  /** Where the position must stand now. */
  readonly from: number;
  readonly to: number;
  readonly begun: Begun | undefined;
}

export interface FetchRequest {
  readonly topicId: number;
  readonly partition: number;
  readonly fromOffset: number;
}

export interface Claimed {
  readonly partition: number;
  readonly position: number;
  readonly begun: Begun | undefined;
}

interface PendingAdvance {
  readonly advance: Advance;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const wakeChannel = 'bus';
const balanceChannel = 'bus_balance';

/**
 * The one connection of a subscription. Its locks, its reads and its moves of positions all live on it: when it breaks, the partitions go to
 * others and this one can neither read nor commit any more, without having to find out that it lost them. No clock is involved: a process
 * that says nothing for `silentMsMax` is cut off by the server's own timer.
 */
export class PostgresSession {
  private pending: PendingAdvance[] = [];
  private flushing = false;
  private ended: Error | undefined;
  /** Statements go one after the other. */
  private readonly turn = pLimit(1);

  private readonly alive: NodeJS.Timeout;

  private constructor(
    private readonly client: pg.Client,
    private readonly queryMsMax: number,
    silentMsMax: number,
  ) {
    // A handler may take longer than the server waits; what counts is that this process still turns.
    this.alive = setInterval(() => void this.query('select 1').catch(() => undefined), silentMsMax / 4);
  }

  /** `onWake` is told of topics with something new, `onBalance` of groups whose members changed, `onEnd` of the end of the connection. */
  static async open(
    pool: pg.Pool,
    limits: { readonly queryMsMax: number; readonly silentMsMax: number },
    listener: { onWake(topic: string): void; onBalance(group: string): void; onEnd(error: Error): void },
  ): Promise<PostgresSession> {
    // Of its own, with the settings of the pool: it is kept for as long as it works, and the pool's are for those who come and go.
    const client = new pg.Client(pool.options);
    const session = new PostgresSession(client, limits.queryMsMax, limits.silentMsMax);
    const end = (error: Error): void => {
      session.ended ??= error;
      listener.onEnd(error);
    };
    client.on('error', end);
    client.on('end', () => end(new Error('The connection ended')));
    client.on('notification', ({ channel, payload = '' }) =>
      channel === wakeChannel ? listener.onWake(payload) : listener.onBalance(payload),
    );
    try {
      await client.connect();
      await session.query(`set idle_session_timeout = ${limits.silentMsMax};
        set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
        listen ${wakeChannel}; listen ${balanceChannel}`);
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  /** Becomes a member of the consumers' groups, which the others are told. */
  async enter(group: string, consumerIds: readonly number[]): Promise<void> {
    await this.query('select pg_advisory_lock_shared(id, 2147483647) from unnest($1::int[]) as id', [consumerIds]);
    await this.tell(group);
  }

  async leave(group: string): Promise<void> {
    await this.query('select pg_advisory_unlock_all()', []);
    await this.tell(group);
  }

  async members(consumerIds: readonly number[]): Promise<Map<number, number>> {
    const { rows } = await this.query<{ id: number; members: string }>('select id, bus.members(id) from unnest($1::int[]) as id', [
      consumerIds,
    ]);
    return new Map(rows.map(({ id, members }) => [id, Number(members)]));
  }

  async claim(consumerId: number, owned: readonly number[], wanted: number): Promise<Claimed[]> {
    const { rows } = await this.query<{ partition: number; next_offset: string; attempt: number; begun_until: string }>(
      'select * from bus.claim($1, $2, $3)',
      [consumerId, owned, wanted],
    );
    return rows.map(({ partition, next_offset, attempt, begun_until }) => ({
      partition,
      position: Number(next_offset),
      begun: attempt > 0 ? { attempt, until: Number(begun_until) } : undefined,
    }));
  }

  async release(group: string, consumerId: number, partition: number): Promise<void> {
    await this.query('select pg_advisory_unlock($1, $2)', [consumerId, partition]);
    await this.tell(group);
  }

  async fetch(requests: readonly FetchRequest[], messagesMax: number, bytesMax: number): Promise<LogRow[]> {
    const { rows } = await this.query<LogRow>('select * from bus.fetch($1, $2, $3, $4, $5)', [
      requests.map(({ topicId }) => topicId),
      requests.map(({ partition }) => partition),
      requests.map(({ fromOffset }) => fromOffset),
      messagesMax,
      bytesMax,
    ]);
    return rows;
  }

  /** Moves a position, together with all that other partitions ask for while one statement is under way. */
  advance(advance: Advance): Promise<void> {
    return new Promise((resolve, reject) => {
      this.pending.push({ advance, resolve, reject });
      if (this.flushing) return;
      this.flushing = true;
      // Partitions that were given their messages together ask together.
      setImmediate(() => void this.flush());
    });
  }

  /** Ends the connection, and with it the locks. */
  close(): void {
    clearInterval(this.alive);
    this.client.removeAllListeners('notification');
    void this.client.end().catch(() => undefined);
  }

  private async tell(group: string): Promise<void> {
    await this.query('select pg_notify($1, $2)', [balanceChannel, group]);
  }

  private async flush(): Promise<void> {
    while (this.pending.length > 0) {
      const batch = this.pending.splice(0);
      try {
        await this.move(batch.map(({ advance }) => advance));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.flushing = false;
  }

  private async move(moves: readonly Advance[]): Promise<void> {
    const { rowCount } = await this.query(
      `update bus.cursor u set next_offset = m.to_offset, attempt = m.attempt, begun_until = m.begun_until
       from unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[], $5::int[], $6::bigint[])
         as m (consumer_id, partition, from_offset, to_offset, attempt, begun_until)
       where u.consumer_id = m.consumer_id and u.partition = m.partition and u.next_offset = m.from_offset`,
      [
        moves.map(({ consumerId }) => consumerId),
        moves.map(({ partition }) => partition),
        moves.map(({ from }) => from),
        moves.map(({ to }) => to),
        moves.map(({ begun }) => begun?.attempt ?? 0),
        moves.map(({ begun }) => begun?.until ?? 0),
      ],
    );
    if (rowCount !== moves.length) throw new Error('A position was moved by somebody else');
  }

  private query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<R>> {
    if (this.ended) return Promise.reject(this.ended);
    const query: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: this.queryMsMax };
    // Prepared, so that the server plans each once; the texts are few.
    return this.turn(() => this.client.query<R>(values ? { ...query, values, name: preparedName(text) } : query));
  }
}

const preparedNames = new Map<string, string>();
/** A number for each text, because Postgres cuts names at 63 bytes. */
const preparedName = (text: string): string => {
  const name = preparedNames.get(text) ?? `bus_${preparedNames.size}`;
  preparedNames.set(text, name);
  return name;
};
