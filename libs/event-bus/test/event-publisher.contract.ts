import { setTimeout as sleep } from 'node:timers/promises';
import type { BusMessage } from '@pca/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeliveredMessage, EventPublisher } from '../src/index.js';
import { messageOf, sequenceOf } from './messages.js';
import { randomFrom } from './random.js';

export type ClosablePublisher = EventPublisher & { close(): Promise<void> };

export interface PublisherHarness {
  /** One more publisher, with connections of its own, as another process would have. */
  connect(): Promise<ClosablePublisher>;
  /** Everything that the bus holds of a topic, by partition, in the order in which a consumer would get it. */
  readAll(topic: string): Promise<DeliveredMessage[][]>;
  close(): Promise<void>;
}

/** What `EventPublisher` promises, for any adapter. */
export const eventPublisherContract = (adapter: string, start: () => Promise<PublisherHarness>): void => {
  describe(`EventPublisher on ${adapter}`, () => {
    let harness: PublisherHarness;
    beforeAll(async () => {
      harness = await start();
    });
    afterAll(() => harness?.close());

    // Broken by: offsets that are not handed out under a lock, a partition chosen by anything but the key, an acknowledgement before the
    // commit.
    it('loses nothing and keeps the order per key under 16 concurrent writers', async () => {
      const random = randomFrom('16 writers');
      const publishers = await Promise.all(Array.from({ length: 4 }, () => harness.connect()));
      const expected = new Map<string, number>();
      await Promise.all(
        Array.from({ length: 16 }, async (_, writer) => {
          for (let call = 0; call < 40; call += 1) {
            const messages = Array.from({ length: 1 + random.below(12) }, () => {
              const key = `writer ${writer} key ${random.below(5)}`;
              const sequence = (expected.get(key) ?? 0) + 1;
              expected.set(key, sequence);
              return messageOf('contract.order.v1', key, sequence);
            });
            await publishers[writer % publishers.length]!.publish(messages);
            if (random.chance(0.2)) await sleep(random.below(5));
          }
        }),
      );
      const partitions = await harness.readAll('contract.order.v1');
      const placed = new Map<string, Set<number>>();
      const found = new Map<string, number[]>();
      partitions.forEach((messages, partition) => {
        expect(messages.map(({ offset }) => offset)).toEqual(messages.map((_, i) => i));
        for (const message of messages) {
          placed.set(message.key, (placed.get(message.key) ?? new Set()).add(partition));
          found.set(message.key, [...(found.get(message.key) ?? []), sequenceOf(message)]);
        }
      });
      const wanted = [...expected].map(([key, last]) => [key, Array.from({ length: last }, (_, i) => i + 1)] as const);
      expect(Object.fromEntries(found), `seed ${random.seed}`).toEqual(Object.fromEntries(wanted));
      expect(Math.max(...[...placed.values()].map(({ size }) => size))).toBe(1);
      expect(partitions.filter(({ length }) => length > 0).length).toBeGreaterThan(1);
      await Promise.all(publishers.map((publisher) => publisher.close()));
    });

    // Broken by: concurrent calls sent side by side.
    it('keeps the order of calls that are not awaited, and close waits for them', async () => {
      const publisher = await harness.connect();
      const calls = Array.from({ length: 300 }, (_, i) => publisher.publish([messageOf('contract.calls.v1', 'one', i + 1)]));
      await publisher.close();
      await Promise.all(calls);
      const stored = (await harness.readAll('contract.calls.v1')).flat();
      expect(stored.map(sequenceOf)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
      await expect(publisher.publish([messageOf('contract.calls.v1', 'one', 301)])).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    });

    // Broken by: a separator that may occur in the data, a column that takes no NUL.
    it('gives back exactly what it was given', async () => {
      const publisher = await harness.connect();
      const breaks = ['line\nbreak\r\n', 'NUL \u0000', 'separators \u2028\u2029', '\\n'];
      const odd = [...breaks, 'rtl \u202eשלום', '{"key":"x"}', '😀', 'a'.repeat(100_000)];
      const messages = odd.map((text, i): BusMessage => {
        const message = messageOf('contract.odd.v1', `key ${text.slice(0, 200)}`, i);
        return { ...message, envelope: { ...message.envelope, payload: { text, [text.slice(0, 20)]: [null, 1e-7, -0.5, true, {}] } } };
      });
      await publisher.publish(messages);
      const stored = (await harness.readAll('contract.odd.v1')).flat();
      const byId = new Map(stored.map(({ topic, key, envelope }) => [envelope.id, { topic, key, envelope }]));
      expect(messages.map(({ envelope }) => byId.get(envelope.id))).toEqual(messages);
      await publisher.close();
    });

    it('refuses what is over a limit, whole and by name', async () => {
      const publisher = await harness.connect();
      const good = messageOf('contract.limits.v1', 'key', 1);
      const large = { ...good, envelope: { ...good.envelope, payload: { text: 'ä'.repeat(600_000) } } };
      const refused = { code: 'PAYLOAD_TOO_LARGE', details: { bytesMax: 1024 * 1024 } };
      await expect(publisher.publish([good, large])).rejects.toMatchObject(refused);
      for (const broken of [
        { ...good, topic: '' },
        { ...good, topic: 'with space' },
        { ...good, topic: 't'.repeat(250) },
        { ...good, key: '' },
        { ...good, key: 'ä'.repeat(513) },
      ]) {
        await expect(publisher.publish([good, broken])).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
      }
      expect((await harness.readAll('contract.limits.v1')).flat()).toEqual([]);
      await publisher.publish([]);
      await publisher.publish([good]);
      expect((await harness.readAll('contract.limits.v1')).flat()).toHaveLength(1);
      await publisher.close();
    });
  });
};
