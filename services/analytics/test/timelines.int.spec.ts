import { handled } from '@pca/event-bus';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTimelines, storedEvents, type Stores, type TimelinesUnderTest, tracked } from './timelines-under-test.js';

let timelines: TimelinesUnderTest;
let stores: Stores;

beforeAll(async () => {
  timelines = await startTimelines();
  stores = await timelines.open();
});
afterAll(() => timelines.stop());

// Broken by: a column written in another one's place, a text whose code is another one's.
it('keeps everything of an event', async () => {
  const timestamp = new Date().toISOString();
  const messageId = '0190f6e2-7c1d-7a11-8f00-aa55cc33ee01';
  const event = tracked({
    messageId,
    timestamp,
    sessionId: 's1',
    resource: 'S-1',
    isBot: true,
    context: { utmCampaign: 'été', ip: '10.0' },
  });
  expect(await stores.append([event])).toEqual([handled]);
  expect(await storedEvents(stores)).toEqual([
    {
      at: new Date(timestamp),
      messageId,
      person: 'ada',
      isKnown: true,
      session: 's1',
      event: 'product viewed',
      page: '/shoes',
      resource: 'S-1',
      context: { utmCampaign: 'été' },
      isBot: true,
      properties: { sku: 'S-1', price: 19.99, $ip: '10.0' },
    },
  ]);
});
