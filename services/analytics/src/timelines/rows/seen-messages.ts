import { hash } from 'node:crypto';
import type { PoolClient } from 'pg';

type Client = Pick<PoolClient, 'query'>;

export const dayMs = 86_400_000;

/** What stands for a messageId of a workspace: the first 8 bytes of SHA-256, as a signed number. */
export const messageDigest = (workspace: number, messageId: string): bigint =>
  hash('sha256', `${workspace}:${messageId}`, 'buffer').readBigInt64BE();

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
    [`{${digests.join(',')}}`, Math.floor(now.getTime() / dayMs)],
  );
  return new Set(rows.map(({ digest }) => BigInt(digest)));
};
