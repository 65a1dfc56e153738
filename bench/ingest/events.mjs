import { seeded } from '../lib/measure.mjs';

const people = 250_000;
const knownShare = 0.3;
const sessionsAtOnce = 2_000;
const eventsPerSession = 8;
const markers = 32;

/** People with names of their own, others for each seed: how many of their events there are does not grow with the length of a run. */
export const markerNamesOf = (seed) => Array.from({ length: markers }, (_, n) => `bench-marker-${seed}-${n}`);

const names = [
  'Product Viewed',
  'Product List Viewed',
  'Product Added',
  'Product Removed',
  'Cart Viewed',
  'Checkout Started',
  'Payment Info Entered',
  'Order Completed',
  'Products Searched',
  'Coupon Applied',
  'Promotion Clicked',
];
const categories = ['shoes', 'jackets', 'shirts', 'outlet', 'accessories'];
const pages = Array.from({ length: 500 }, (_, n) => `/shop/${categories[n % categories.length]}/article-${n}`);
const campaigns = ['', 'spring_sale', 'brand_search', 'retargeting_7d', 'newsletter_12', 'video_prospecting'];
const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/';
const systems = ['Windows NT 10.0; Win64; x64', 'Macintosh; Intel Mac OS X 10_15_7', 'X11; Linux x86_64', 'Linux; Android 14; Pixel 8'];
const agents = systems.flatMap((system) => [140, 141, 142].map((version) => `Mozilla/5.0 (${system}) ${chrome}${version}.0 Safari/537.36`));

const hex = (value, length) => value.toString(16).padStart(length, '0');

/**
 * Somebody's events as they come in at a busy shop: a few thousand visits at once, interleaved, of 8 events each on average, by 250,000
 * people of whom a third are known. 12 names (`page` among them), 500 pages, 5 properties, a campaign and a user agent:
 * about 500 bytes of JSON.
 * `next` gives the n-th event as JSON; the same seed gives the same events, but for the times and message ids, which go on from `startMs`.
 */
export const makeEvents = (seed, startMs) => {
  const random = seeded(seed);
  const below = (limit) => Math.floor(random() * limit);
  const pick = (list) => list[below(list.length)];
  const startSession = () => {
    const person = below(people);
    const anonymousId = `${hex(Math.imul(person, 2_654_435_761) >>> 0, 8)}-5a1e-4c0d-9e11-${hex(person * 40_503, 12)}`;
    return {
      person: `${person < people * knownShare ? `"userId":"customer-${person}",` : ''}"anonymousId":"${anonymousId}"`,
      id: `${hex(startMs, 11)}${hex(below(2 ** 32), 8)}`,
      campaign: below(3) === 0 ? pick(campaigns) : '',
      agent: agents[person % agents.length],
    };
  };
  const sessions = Array.from({ length: sessionsAtOnce }, startSession);
  let events = 0;
  const markerNames = markerNamesOf(seed);
  let marked = 0;
  const messageId = (ms) => {
    const time = hex(ms, 12);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(below(4096), 3)}-8${hex(below(4096), 3)}-${hex(events, 6)}${hex(below(2 ** 24), 6)}`;
  };
  const write = (person, session, ms) => {
    events += 1;
    const id = messageId(ms);
    const page = pick(pages);
    const isView = below(names.length + 1) === 0;
    const what = isView ? '"type":"page","name":"page"' : `"type":"track","event":"${pick(names)}"`;
    const campaign = session.campaign && `"campaign":{"name":"${session.campaign}"},`;
    const json =
      `{${what},"messageId":"${id}",${person},"sessionId":"${session.id}","timestamp":"${new Date(ms).toISOString()}",` +
      `"properties":{"sku":"SKU-${below(5_000)}","price":${below(20_000) / 100},"currency":"EUR","position":${below(40)},"inStock":${below(9) > 0}},` +
      `"context":{"page":{"path":"${page}"},${campaign}"userAgent":"${session.agent}"}}`;
    return { id, json };
  };
  const next = () => {
    const at = below(sessionsAtOnce);
    if (below(eventsPerSession) === 0) sessions[at] = startSession();
    const session = sessions[at];
    return write(session.person, session, startMs + (events >> 4)).json;
  };
  /** An event of somebody who can be looked for: one of a few people with names of their own. */
  const marker = () => write(`"userId":"${markerNames[marked++ % markers]}"`, sessions[0], startMs + (events >> 4));
  return { next, marker };
};
