import { createLogger, type RunningConsumers, type ServiceBus, startConsumers } from '@pca/service-kit';
import { createClient, type NodeOptions, type SdkError } from '@pca/sdk/node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { trackedEventConsumer } from '../src/timelines/tracked-event.consumer.js';
import { type IngestUnderTest, startIngest } from './ingest-under-test.js';
import { storesOn } from './timelines-under-test.js';

interface User {
  id: string;
  aliases: string[];
  traits: Record<string, unknown>;
  stats: { events: number };
}

let sut: IngestUnderTest;
let consumers: RunningConsumers;
let errors: SdkError[] = [];
beforeAll(async () => {
  sut = await startIngest();
  const { timelines, identities } = storesOn(sut.database);
  const messaging = {
    database: sut.database,
    bus: sut.definition.bus as ServiceBus,
    logger: createLogger({ name: 'test', level: 'silent' }),
  };
  consumers = startConsumers(messaging, [trackedEventConsumer(timelines, identities, 10)]);
});
afterAll(async () => {
  await consumers.close();
  await sut.stop();
});

const makeClient = (writeKey: string, more: Partial<NodeOptions> = {}) => {
  errors = [];
  return createClient({
    endpoint: sut.service.url,
    writeKey,
    flushIntervalMs: 3_600_000,
    onError: (error) => errors.push(error),
    ...more,
  });
};

// Broken by: a protocol that the server and the SDK understand in two ways, each in accord with its own tests.
it('what the SDK is told, the graph tells', async () => {
  const client = makeClient((await sut.ingestKey()).key, { remember: true });
  await client.page('Pricing', { plan: 'pro' });
  await client.track('Signed up', { plan: 'pro' });
  await client.identify('ada', { plan: 'pro' });
  await client.track('Invoice paid', { amount: 40 });
  await client.group('acme');
  await client.alias('ada@example.org');
  expect(await client.flush()).toBe(true);
  expect(errors).toEqual([]);
  const token = await sut.token('viewer');
  const asked = async (): Promise<User | null | undefined> =>
    (await sut.service.graphql<{ user: User | null }>(token, '{ user(id: "ada") { id aliases traits stats { events } } }')).data?.user;
  await expect.poll(asked).toMatchObject({ traits: { plan: 'pro' }, stats: { events: 4 } });
  await client.close();
});

// Broken by: an answer that does not say who it is from, by which a wrong key would be tried for 28 days; one bad event that is not named.
it('refusals are heard of, once', async () => {
  const wrong = makeClient('no-key-of-ours');
  const id = await wrong.track('Bought', {}, { userId: 'ada' });
  expect(await wrong.flush()).toBe(true);
  await wrong.close();
  expect(errors).toMatchObject([{ code: 'REFUSED', status: 401, events: [{ messageId: id }] }]);
  const client = makeClient((await sut.ingestKey()).key);
  const good = await client.track('Bought', {}, { userId: 'ada' });
  const bad = await client.track('x'.repeat(5_000), {}, { userId: 'ada' });
  expect(await client.flush()).toBe(true);
  await client.close();
  expect(errors).toMatchObject([{ code: 'BAD_USER_INPUT', status: 202, events: [{ messageId: bad }] }]);
  const published = await sut.published();
  expect([good, bad].map((each) => published.get(each!)?.length)).toEqual([1, undefined]);
});
