import { type BusMessage, eventTracked, parseEvent } from '@pca/contracts';
import { expect, it } from 'vitest';
import { publishBehaviour } from './publish-behaviour.js';

const recorder = () => {
  const published: BusMessage[] = [];
  return { published, publish: (messages: readonly BusMessage[]) => Promise.resolve(void published.push(...messages)) };
};

// Broken by: a producer that is not the caller, or a payload that consumers would give up.
it('publishes what consumers of behaviour events understand, in the name of the caller', async () => {
  const bus = recorder();
  const timestamp = new Date('2026-03-01T10:00:00Z');
  await publishBehaviour(bus, { workspaceId: 'usage', producer: 'gateway' }, [
    { event: 'Query Ran', userId: 'u', messageId: 'm', timestamp, resource: 'campaigns', properties: { ms: 3 } },
    { event: 'page', anonymousId: 'a', page: '/console' },
  ]);
  const [first, second] = bus.published.map(({ envelope }) => parseEvent(envelope));
  expect(bus.published.map(({ topic, key }) => [topic, key])).toEqual([
    [eventTracked.topic, 'usage:u:u'],
    [eventTracked.topic, 'usage:a:a'],
  ]);
  expect(first).toMatchObject({
    producer: 'gateway',
    workspaceId: 'usage',
    occurredAt: timestamp.toISOString(),
    payload: { messageId: 'm', timestamp: timestamp.toISOString(), resource: 'campaigns', properties: { ms: 3 }, anonymousId: null },
  });
  expect((second?.payload as { messageId: string }).messageId).not.toBe('');
});

// Broken by: publishing half of a call, or an empty call that asks the bus for nothing.
it('publishes nothing of a call with a broken event, and asks nobody for an empty one', async () => {
  const bus = recorder();
  const source = { workspaceId: 'usage', producer: 'gateway' };
  await expect(publishBehaviour(bus, source, [{ event: 'fine', userId: 'u' }, { event: 'nobody' }])).rejects.toThrow(
    'userId or anonymousId',
  );
  await publishBehaviour({ publish: () => Promise.reject(new Error('asked')) }, source, []);
  expect(bus.published).toEqual([]);
});
