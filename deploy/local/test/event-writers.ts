import { setTimeout as sleep } from 'node:timers/promises';
import { type SeededRandom } from '@pca/testing';
import type { SentEvent } from './behaviour-load.js';

/** What happened to messageIds. Those that were sent and never acknowledged may be stored or not. */
export interface SentIds {
  readonly sent: Set<string>;
  readonly acknowledged: Set<string>;
}

interface Writer {
  readonly name: string;
  readonly gatewayUrl: string;
  readonly key: string;
  readonly until: { readonly done: boolean };
  readonly ids: SentIds;
  readonly random: SeededRandom;
  /** How many events a request holds; 1: a request for a single one. */
  readonly batch: number;
}

const day = 86_400_000;
const repeated = 0.1;
const givenUp = 0.3;
/** For a machine that does other things too: what matters is that requests are under way, not how many. */
const pauseMs = 20;

/**
 * Sends events as long as it is let, repeats what was refused or lost its answer, gives some of that up, and repeats some that was taken.
 */
export const writeEvents = async ({ name, gatewayUrl, key, until, ids, random, batch }: Writer): Promise<void> => {
  const authorization = `Bearer ${key}`;
  const send = async (events: readonly SentEvent[]): Promise<boolean> => {
    const [path, body] = batch === 1 ? ['track', events[0]] : ['batch', { batch: events }];
    for (const { messageId } of events) ids.sent.add(messageId);
    try {
      const response = await fetch(`${gatewayUrl}/v1/${path}`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5_000),
      });
      const answer = (await response.json()) as { accepted?: number };
      if (response.status !== 202 || answer.accepted !== events.length) return false;
    } catch {
      return false;
    }
    for (const { messageId } of events) ids.acknowledged.add(messageId);
    return true;
  };
  for (let n = 0; !until.done; n += 1) {
    const events = Array.from({ length: batch }, (_unused, i): SentEvent => ({
      type: 'track',
      event: 'Clicked',
      messageId: `${name}-${n}-${i}`,
      userId: `p${random.int(50)}`,
      timestamp: new Date(Date.now() - random.int(10) * day).toISOString(),
    }));
    while (!(await send(events)) && !until.done && random.next() >= givenUp) await sleep(100);
    if (random.next() < repeated) await send(events);
    await sleep(pauseMs);
  }
};
