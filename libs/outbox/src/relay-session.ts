import type pg from 'pg';

export interface OutboxRow {
  id: string;
  topic: string;
  message: string;
}

// Beside the table's oid in a bigint, so that each outbox of a database has a lock of its own.
const lockNamespace = 0x70636f62;
const queryMsMax = 10_000;
const reasonLengthMax = 1_000;

/**
 * The relay's one connection. The lock that makes it the only relay, its reads and its deletes all live on it: when it breaks, the lock
 * goes to another relay and this one can neither read nor delete any more, without having to find out that it lost.
 */
export class RelaySession {
  private constructor(private readonly client: pg.PoolClient) {}

  static async open(pool: pg.Pool): Promise<RelaySession> {
    const session = new RelaySession(await connected(pool));
    try {
      // A machine that vanishes without a word must not hold the lock for the two hours that are the default.
      await session.query('set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3');
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  async tryLead(): Promise<boolean> {
    const { rows } = await this.query<{ leads: boolean }>(
      `select pg_try_advisory_lock(($1::bigint << 32) | 'outbox'::regclass::oid::bigint) as leads`,
      [lockNamespace],
    );
    return rows[0]?.leads === true;
  }

  /**
   * The oldest rows by id, up to `messagesMax` and until they hold `bytesMax` bytes. There is no cursor: a row that commits after rows with
   * higher ids were published is still there, and comes first the next time.
   */
  async page(messagesMax: number, bytesMax: number): Promise<OutboxRow[]> {
    const { rows } = await this.query<OutboxRow>(
      `select id, topic, message from (
         select id, topic, message, sum(octet_length(message)) over (order by id) - octet_length(message) as bytes_before
         from (select id, topic, message from outbox order by id limit $1) o
       ) o where bytes_before < $2 order by id`,
      [messagesMax, bytesMax],
    );
    return rows;
  }

  async remove(rows: readonly OutboxRow[]): Promise<void> {
    await this.query('delete from outbox where id = any ($1::bigint[])', [rows.map(({ id }) => id)]);
  }

  /** Moves a row to where it holds nobody back. */
  async bury({ id }: OutboxRow, reason: string): Promise<void> {
    await this.query(
      `with taken as (delete from outbox where id = $1 returning id, enqueued_at, topic, message)
       insert into outbox_dead (id, enqueued_at, topic, message, reason) select id, enqueued_at, topic, message, $2 from taken`,
      [id, reason.slice(0, reasonLengthMax)],
    );
  }

  /** Ends the connection, and with it the lock; it does not go back to the pool. */
  close(): void {
    this.client.release(true);
  }

  private query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<R>> {
    const query: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: queryMsMax };
    return this.client.query<R>(values ? { ...query, values } : query);
  }
}

/**
 * What breaks between two queries shows at the next one. Somebody listens from the first moment on: a server may die right behind its
 * welcome, which is heard before a promise goes on, and an error that nobody hears ends the process.
 */
const connected = (pool: pg.Pool): Promise<pg.PoolClient> =>
  new Promise((resolve, reject) =>
    pool.connect((error, client) => {
      if (!client) return reject(error ?? new Error('No connection'));
      client.on('error', () => undefined);
      resolve(client);
    }),
  );
