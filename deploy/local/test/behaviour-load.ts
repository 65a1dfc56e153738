import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { askGraphql, type SeededRandom } from '@pca/testing';
import { expect } from 'vitest';

/** An event as a program sends it. */
export interface SentEvent {
  readonly type: 'track';
  readonly event: string;
  readonly messageId: string;
  readonly userId: string;
  readonly sessionId?: string;
  /** ISO 8601 instant. */
  readonly timestamp: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

export interface BehaviourTotals {
  readonly events: number;
  readonly activeUsers: number;
  readonly sessions: number;
}

export const shuffled = <T>(items: readonly T[], random: SeededRandom): T[] => {
  const mixed = [...items];
  for (let n = mixed.length - 1; n > 0; n -= 1) {
    const other = random.int(n + 1);
    [mixed[n], mixed[other]] = [mixed[other] as T, mixed[n] as T];
  }
  return mixed;
};

/** The events of a public data set of a shop's visits; a row's number is its messageId. */
export const readVisits = async (path: string): Promise<SentEvent[]> => {
  const events: SentEvent[] = [];
  for await (const line of createInterface({ input: createReadStream(path).pipe(createGunzip()) })) {
    const [userId = '', sessionId = '', event = '', at = '', platform, channel] = line.split(',');
    if (userId === 'user_id' || line === '') continue;
    const timestamp = `${at.replace(' ', 'T')}Z`;
    events.push({
      type: 'track',
      event,
      messageId: `row-${events.length}`,
      userId,
      sessionId,
      timestamp,
      properties: { platform, channel },
    });
  }
  return events;
};

const batchSize = 500;
const senders = 4;

/** Sends events in batches and waits for those that are refused for now, as clients do. */
export const sendAll = async (gatewayUrl: string, key: string, events: readonly SentEvent[]): Promise<void> => {
  const batches = Array.from({ length: Math.ceil(events.length / batchSize) }, (_unused, n) =>
    events.slice(n * batchSize, (n + 1) * batchSize),
  );
  const send = async (batch: readonly SentEvent[]): Promise<void> => {
    const response = await fetch(`${gatewayUrl}/v1/batch`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ batch }),
    });
    const body = await response.text();
    if (response.status === 429 || response.status === 503) {
      await sleep(1_000 * Number(response.headers.get('retry-after') ?? 1));
      return send(batch);
    }
    expect({ status: response.status, body }).toEqual({ status: 202, body: JSON.stringify({ accepted: batch.length, errors: [] }) });
  };
  await Promise.all(
    Array.from({ length: senders }, async () => {
      for (let batch = batches.pop(); batch; batch = batches.pop()) await send(batch);
    }),
  );
};

const question = `query Totals($from: Date!, $to: Date!) {
  metrics(from: $from, to: $to) { behaviour { events activeUsers sessions asOf } }
}`;

/** Totals as the graph gives them, once everything that was accepted before the call is in them. */
export const totalsFromNow = async (gatewayUrl: string, token: string, from: string, to: string): Promise<BehaviourTotals> => {
  const since = new Date().toISOString();
  let totals: BehaviourTotals | undefined;
  const look = async (): Promise<boolean> => {
    const { data, errors } = await askGraphql<{ metrics: { behaviour: (BehaviourTotals & { asOf: string | null }) | null } }>(
      gatewayUrl,
      token,
      question,
      { from, to },
    );
    expect(errors).toEqual([]);
    const { asOf = null, ...found } = data?.metrics.behaviour ?? { events: -1, activeUsers: -1, sessions: -1 };
    totals = found;
    return asOf !== null && asOf >= since;
  };
  await expect.poll(look, { timeout: 180_000, interval: 200, message: 'everything that was accepted is stored' }).toBe(true);
  return totals ?? { events: -1, activeUsers: -1, sessions: -1 };
};
