import { afterAll, beforeAll, expect, it } from 'vitest';
import { type IngestUnderTest, startIngest } from './ingest-under-test.js';

let sut: IngestUnderTest;
let key: string;
beforeAll(async () => {
  sut = await startIngest();
  key = (await sut.ingestKey()).key;
});
afterAll(() => sut.stop());

// Broken by: answering before the bus has it, or by losing the good ones beside a bad one.
it('takes a batch: what is fine is on the bus when it is answered, what is not is told apart', async () => {
  const batch = [
    { type: 'track', event: 'Signed Up', userId: 'u1', messageId: 'm1', properties: { plan: 'pro' } },
    { type: 'nothing', userId: 'u1', messageId: 'm2' },
    { type: 'page', anonymousId: 'a1', messageId: 'm3', properties: { url: 'https://example.org/pricing?x=1' } },
  ];
  const response = await sut.service.rest(key, 'POST', '/v1/batch', { batch });
  expect([response.status, await response.json()]).toEqual([
    202,
    { accepted: 2, errors: [{ index: 1, messageId: 'm2', code: 'BAD_USER_INPUT', message: expect.stringContaining('type') as string }] },
  ]);
  const published = await sut.published();
  expect(published.get('m1')?.[0]).toMatchObject({
    type: 'behaviour.event-tracked.v1',
    workspaceId: 'demo',
    payload: { event: 'Signed Up', userId: 'u1', properties: { plan: 'pro' } },
  });
  expect(published.get('m3')?.[0]).toMatchObject({ payload: { event: 'page', page: '/pricing', anonymousId: 'a1' } });
  expect(published.has('m2')).toBe(false);
});
