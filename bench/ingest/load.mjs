// The load generator, a process of its own. Events are made before they are sent: what they cost their makers is not measured, sending is.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { Pool } from 'undici';
import { quantile } from '../lib/measure.mjs';
import { answering } from './answering.mjs';
import { makeEvents } from './events.mjs';
import { copyText } from './floor.mjs';

/** Of the batches, so many are sent again, as a client does that heard no answer. */
const againEvery = 50;
/** Of the events, so many are somebody's that is looked for. */
const markerEvery = 500;

let bodies = [];
let floor;

/** What is sent next: bodies without the time of sending, which is put in when they go. Answers how many bytes an event has. */
const make = ({ seed, count, batchSize, markers }) => {
  const events = makeEvents(seed, Date.now() - (count >> 4));
  let bytes = 0;
  bodies = [];
  for (let first = 0; first < count; first += batchSize) {
    const body = { marker: undefined, text: '' };
    const texts = [];
    for (let n = first; n < Math.min(first + batchSize, count); n++) {
      const marker = markers && n % markerEvery === 0 ? events.marker() : undefined;
      body.marker ??= marker?.id;
      texts.push(marker?.json ?? events.next());
    }
    body.text = texts.join(',');
    bytes += body.text.length;
    bodies.push(body);
  }
  return { bytes: bytes / count };
};

/** One exchange; whatever is not taken in ends the run, because refusals are cheap. */
const post = (pool, path, headers, body) =>
  new Promise((resolve, reject) => {
    let status = 0;
    let answer = '';
    pool.dispatch(
      { path, method: 'POST', headers, body },
      {
        onRequestStart() {},
        onResponseStart(_controller, code) {
          status = code;
        },
        onResponseData(_controller, chunk) {
          answer += chunk;
        },
        onResponseEnd: () => (status === 202 ? resolve(answer) : reject(new Error(`${path} answers ${status} ${answer.slice(0, 300)}`))),
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });

/** Clients that each send the next body when the last one is answered. `again`: some batches twice. */
const send = async ({ url, path, key, callers, single, again }) => {
  const pool = new Pool(url, { connections: callers });
  const authorization = `Basic ${Buffer.from(`${key}:`).toString('base64')}`;
  const headers = { 'content-type': 'application/json', authorization };
  const bodyOf = ({ text }) => (single ? text : `{"sentAt":"${new Date().toISOString()}","batch":[${text}]}`);
  const latencies = [];
  const markers = [];
  let next = 0;
  const exchange = async (body) => {
    const sentMs = Date.now();
    const started = performance.now();
    const answer = await post(pool, path, headers, bodyOf(body));
    latencies.push(performance.now() - started);
    if (answer.includes('"errors":[{')) throw new Error(`events were refused: ${answer.slice(0, 300)}`);
    return sentMs;
  };
  const call = async () => {
    while (next < bodies.length) {
      const n = next++;
      const sentMs = await exchange(bodies[n]);
      if (bodies[n].marker) markers.push({ id: bodies[n].marker, sentMs });
      if (!again || n % againEvery !== 0) continue;
      await exchange(bodies[n]);
    }
  };
  const startedMs = Date.now();
  await Promise.all(Array.from({ length: callers }, call));
  const endedMs = Date.now();
  await pool.close();
  return { startedMs, endedMs, markers, p50Ms: quantile(latencies, 0.5), p95Ms: quantile(latencies, 0.95) };
};

/** The same events as rows of the floor's table, which is not measured, and a connection. */
const prepareCopy = async ({ database }) => {
  const chunks = bodies.map(({ text }) => copyText(JSON.parse(`[${text}]`)));
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  floor = { client, chunks };
};

/** All of it in one statement, or each thousand in one of its own. */
const copy = async ({ statement, eachThousand }) => {
  const started = performance.now();
  const pieces = eachThousand ? floor.chunks.map((chunk) => [chunk]) : [floor.chunks];
  for (const piece of pieces) await pipeline(Readable.from(piece), floor.client.query(copyFrom(statement)));
  const seconds = (performance.now() - started) / 1000;
  await floor.client.end();
  return { seconds };
};

answering({ make, send, prepareCopy, copy });
