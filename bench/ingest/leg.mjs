import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../lib/measure.mjs';
import { markerNames } from './events.mjs';

const lookEveryMs = 50;
const waitMsMax = 120_000;

// Since the first event of the leg, because what is behind it would be looked at over and over, and the more the longer a run is.
const countSince = async ({ client }, startMs) => {
  const values = [new Date(startMs)];
  const { rows } = await client.query({ name: 'count', text: 'select count(*)::int as count from event where at >= $1', values });
  return rows[0].count;
};

const markersSince = (startMs) => ({
  name: 'markers',
  text: `select encode(e.message, 'hex') as id from event e join person p on e.person = p.id
    where p.external_id = any($1) and p.is_known and e.at >= $2`,
  values: [markerNames, new Date(startMs)],
});

// A UUID is stored as its bytes behind a zero.
const storedId = (id) => `00${id.replaceAll('-', '')}`;

/** Looks again and again which of the people that are looked for can be seen with what, until it is told to end. */
const watchMarkers = ({ client }, startMs) => {
  const query = markersSince(startMs);
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

const untilCounted = async (system, startMs, expected) => {
  const deadline = Date.now() + waitMsMax;
  for (;;) {
    const count = await countSince(system, startMs);
    if (count >= expected) return { count, countedMs: Date.now() };
    if (Date.now() > deadline) throw new Error(`${count} events can be queried, of ${expected}: events were lost`);
    await sleep(lookEveryMs);
  }
};

/**
 * So many events through the whole system, from the first request to the moment when the last one can be queried. Throws when one is missing
 * or counted twice. Events a second, latencies of the requests, freshness (from the sending of an event to the look that shows it),
 * and CPU in seconds for 100,000 events by stage.
 */
export const runLeg = async (system, server, load, { make, send }) => {
  const { bytes, startMs } = await load.ask('make', { ...make, markers: true });
  await server.settle();
  const expected = (await countSince(system, startMs)) + make.count;
  const before = system.cpu();
  const unwatch = watchMarkers(system, startMs);
  const sent = await load.ask('send', { ...system.target, ...send });
  const { countedMs } = await untilCounted(system, startMs, expected);
  const after = system.cpu();
  const seenMs = await unwatch();
  if ((await countSince(system, startMs)) !== expected) throw new Error('events that came twice were counted twice');
  const freshMs = sent.markers.map(({ id, sentMs }) => seenMs.get(storedId(id)) - sentMs);
  const seconds = (countedMs - sent.startedMs) / 1000;
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
