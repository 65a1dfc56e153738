import { createServer } from 'node:http';
import { gunzipSync } from 'node:zlib';
import type { BusMessage } from '@pca/contracts';
import { decodeMessage } from '@pca/event-bus';
import { testPostgres } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startConsumers, startTracing } from '../src/index.js';
import { changed, logger, openOrders, ordersConsumer, placed, silentBus, tallies } from './orders.js';

interface Span {
  name: string;
  traceId: string;
  parentSpanId?: string;
  links?: { traceId: string }[];
}

const spans: Span[] = [];
const cleanUps: (() => unknown)[] = [];
let stopTracing: () => Promise<void>;

beforeAll(async () => {
  const collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
      const body = JSON.parse(text) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] };
      spans.push(...body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
      response.end('{}');
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => collector.once('listening', resolve));
  cleanUps.push(() => collector.close());
  stopTracing = await startTracing('orders', `http://127.0.0.1:${(collector.address() as { port: number }).port}`);
});
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

const topic = 'test-orders.events.v1';
const trace = (letter: string): string => letter.repeat(32);
const traced = (message: BusMessage, letter: string): BusMessage => ({
  ...message,
  topic,
  envelope: { ...message.envelope, traceparent: `00-${trace(letter)}-${'b'.repeat(16)}-01` },
});

// Broken by: a batch that takes one of several traces for its own, an event that follows and belongs to no trace.
it('goes on with the trace of what it handles, or links to the traces of a batch', async () => {
  const postgres = await testPostgres();
  const database = await openOrders((await postgres.createDatabase()).url);
  const bus = silentBus({ bus: 'postgres', url: (await postgres.createDatabase()).url });
  const running = startConsumers({ database, bus, logger }, [ordersConsumer('orders', topic)]);
  cleanUps.push(
    () => postgres.stop(),
    () => database.stop(),
    () => bus.close(),
    () => running.close(),
  );
  await bus.publish([traced(placed('a', 1), 'c'), traced(changed('a', 2), 'c')]);
  await expect.poll(() => tallies(database)).toEqual({ a: 'p1 c2' });
  await bus.publish([traced(changed('a', 3), 'd'), traced(changed('a', 4), 'e'), traced(changed('a', 5), 'd')]);
  await expect.poll(() => tallies(database)).toEqual({ a: 'p1 c2 c3 c4 c5' });
  const { rows } = await database.pool.query<{ topic: string; message: string }>('select topic, message from outbox');
  const bill = rows.map((row) => decodeMessage(row.topic, row.message).envelope)[0];
  await running.close();
  await stopTracing();

  const consumed = spans.filter(({ name }) => name === `consume ${topic}`);
  const one = consumed.find(({ traceId }) => traceId === trace('c'));
  expect(one).toMatchObject({ parentSpanId: 'b'.repeat(16) });
  expect(one?.links ?? []).toEqual([]);
  const several = consumed.find(({ links = [] }) => links.length > 0);
  expect(several?.links?.map(({ traceId }) => traceId)).toEqual([trace('d'), trace('e')]);
  expect(several?.traceId).not.toBe(trace('d'));
  expect(bill?.traceparent?.split('-')[1]).toBe(trace('c'));
  expect(spans.some(({ name, traceId }) => name.startsWith('pg ') && traceId === trace('c'))).toBe(true);
});
