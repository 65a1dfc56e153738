import { hash } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';

type Client = Pick<PoolClient, 'query'>;

export const dayMs = 86_400_000;
const pageBytes = 8_192;

const dayOf = (time: Date): number => Math.floor(time.getTime() / dayMs);

const uuidv7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

/**
 * What stands for a messageId of a workspace: the first 8 bytes of SHA-256, as a signed number. Of a UUIDv7, as our SDK makes them, the
 * first two are its minute: the bits of its time that change every 65.5 s and come again after 50 days. What comes in now lies together in
 * the index, which otherwise is written all over, the more pages the more it remembers. As 50 days at the same rate fill all values of these
 * bits, they cost no more certainty than remembering for so long would.
 */
export const messageDigest = (workspace: number, messageId: string): bigint => {
  const digest = hash('sha256', `${workspace}:${messageId}`, 'buffer');
  if (messageId.length === 36 && uuidv7.test(messageId)) digest.writeUInt16BE(Number.parseInt(messageId.slice(4, 8), 16));
  return digest.readBigInt64BE();
};

/**
 * Remembers digests, in the caller's transaction, and answers with those that were there before. Lowest first, so that two batches with the
 * same ones wait for each other in one direction only. `digests` are distinct.
 */
export const rememberMessages = async (client: Client, digests: readonly bigint[], now: Date): Promise<ReadonlySet<bigint>> => {
  const { rows } = await client.query<{ digest: string }>(
    `with given as (select unnest($1::bigint[]) as digest),
     fresh as (
       insert into seen_message (digest, day) select digest, $2 from given order by digest on conflict do nothing returning digest
     )
     select digest from given where digest not in (select digest from fresh)`,
    [`{${digests.join(',')}}`, dayOf(now)],
  );
  return new Set(rows.map(({ digest }) => BigInt(digest)));
};

/** How long a messageId is remembered at least. */
export const rememberedDays = 30;

/** Some 700,000 digests. */
const pagesAtOnce = 4_096;

/**
 * Forgets digests after 30 days, a piece of the table at each call, round and round. By place and not by day, because an index on the day
 * would cost more than all this reading: a month of 100 million events is through in eight hours of a piece each minute.
 */
export class SeenSweep {
  private page = 0;

  constructor(private readonly pool: Pool) {}

  /** How many it forgot. */
  async work(now: Date): Promise<number> {
    const next = this.page + pagesAtOnce;
    const deleted = await this.pool.query('delete from seen_message where ctid >= $1::tid and ctid < $2::tid and day < $3', [
      `(${this.page},0)`,
      `(${next},0)`,
      dayOf(now) - rememberedDays,
    ]);
    const { rows } = await this.pool.query<{ bytes: string }>(`select pg_relation_size('seen_message') as bytes`);
    this.page = next * pageBytes < Number(rows[0]?.bytes) ? next : 0;
    return deleted.rowCount ?? 0;
  }
}
