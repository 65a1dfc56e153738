import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../lib/measure.mjs';
import { markerNamesOf } from './events.mjs';

const lookEveryMs = 50;
const waitMsMax = 120_000;
const commitMsMax = 5_000;

const countOf = async ({ client }) => {
  const { rows } = await client.query('select count(*)::int as count from event');
  return rows[0].count;
};

const markersQuery = (names) => ({
  name: 'markers',
  text: `select encode(e.message, 'hex') as id from event e join person p on e.person = p.id where p.external_id = any($1) and p.is_known`,
  values: [names],
});

// A UUID is stored as its bytes behind a zero.
const storedId = (id) => `00${id.replaceAll('-', '')}`;

/** Looks again and again which of the people that are looked for can be seen with what, until it is told to end. */
const watchMarkers = ({ client }, names) => {
  const query = markersQuery(names);
  const seenMs = new Map();
  let ended = false;
  const look = async () => {
    const { rows } = await client.query(query);
    const now = Date.now();
    for (const { id } of rows) if (!seenMs.has(id)) seenMs.set(id, now);
  };
  const looking = (async () => {
    while (!ended) {
      await look();
      await sleep(lookEveryMs);
    }
  })();
  return async () => {
    ended = true;
    await looking;
    await look();
    return seenMs;
  };
};

/** The table's own count, which the service's is held against. A transaction may be about to end. */
const checkCount = async (system, expected) => {
  const deadline = Date.now() + commitMsMax;
  let count = await countOf(system);
  while (count < expected && Date.now() < deadline) count = await countOf(system);
  if (count !== expected) throw new Error(`${count} events can be queried, of ${expected}`);
};

/** Looks at the service's own count, which costs the same however many there are. */
const untilStored = async (system, expected) => {
  const deadline = Date.now() + waitMsMax;
  for (;;) {
    const stored = await system.stored();
    if (stored >= expected) return Date.now();
    if (Date.now() > deadline) throw new Error(`${stored} events are stored, of ${expected}: events were lost`);
    await sleep(lookEveryMs);
  }
};

/**
 * So many events through the whole system, from the first request to the moment when the last one can be queried. Throws when one is missing
 * or counted twice. Events a second, latencies of the requests, freshness (from the sending of an event to the look that shows it),
 * and CPU in seconds for 100,000 events by stage.
 */
export const runLeg = async (system, server, load, { make, send }) => {
  const { bytes } = await load.ask('make', { ...make, markers: true });
  await server.settle();
  const expected = { stored: (await system.stored()) + make.count, counted: (await countOf(system)) + make.count };
  const before = system.cpu();
  const unwatch = watchMarkers(system, markerNamesOf(make.seed));
  const sent = await load.ask('send', { ...system.target, ...send });
  const storedMs = await untilStored(system, expected.stored);
  const after = system.cpu();
  const seenMs = await unwatch();
  await checkCount(system, expected.counted);
  const freshMs = sent.markers.map(({ id, sentMs }) => seenMs.get(storedId(id)) - sentMs);
  const seconds = (storedMs - sent.startedMs) / 1000;
  return {
    bytes,
    rate: make.count / seconds,
    acceptedRate: (make.count * 1000) / (sent.endedMs - sent.startedMs),
    p50Ms: sent.p50Ms,
    p95Ms: sent.p95Ms,
    freshP50Ms: quantile(freshMs, 0.5),
    freshP95Ms: quantile(freshMs, 0.95),
    cpu: Object.fromEntries(Object.entries(after).map(([stage, at]) => [stage, ((at - before[stage]) * 100_000) / make.count])),
  };
};
