import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { createClient, type NodeOptions, type SdkError } from '@pca/sdk/node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ProtocolServer, type Reply, startProtocolServer } from './protocol-server.js';

let server: ProtocolServer;
let errors: SdkError[];
let key = 0;

beforeAll(async () => {
  server = await startProtocolServer();
});
afterAll(() => server.stop());
beforeEach(() => {
  errors = [];
  server.batches.length = 0;
});
afterEach(() => {
  server.reply = undefined;
});

const userId = 'user-1';
const makeClient = (more: Partial<NodeOptions> = {}) =>
  createClient({
    endpoint: server.url,
    writeKey: `key-${++key}`,
    flushIntervalMs: 3_600_000,
    onError: (error) => errors.push(error),
    ...more,
  });
type NodeClient = ReturnType<typeof makeClient>;
const trackAll = (client: NodeClient, count: number): Promise<(string | undefined)[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => client.track(`event-${index}`, {}, { userId })));
const codes = (): string[] => errors.map(({ code, status }) => `${code} ${status}`);
/** Answers one after the other; all that follow are taken. */
const replies = (...all: Reply[]): void => {
  server.reply = () => all.shift() ?? { status: 202 };
};

describe('answers', () => {
  // Broken by: a queue that one refused batch stops for ever, or that drops without a word.
  it('that refuse for good drop the batch, with a report, and let the next pass', async () => {
    for (const status of [400, 401, 403, 404, 410, 422]) {
      errors = [];
      replies({ status, body: { code: 'UNAUTHENTICATED', detail: 'No such key' } });
      const client = makeClient();
      const [id] = await trackAll(client, 1);
      expect(await client.flush()).toBe(true);
      expect(errors).toEqual([
        {
          code: 'REFUSED',
          status,
          message: `The server answered ${status}: No such key`,
          events: [expect.objectContaining({ messageId: id })],
        },
      ]);
      const [next] = await trackAll(client, 1);
      expect(await client.flush()).toBe(true);
      expect(server.taken.has(next!)).toBe(true);
      expect(server.taken.has(id!)).toBe(false);
      await client.close();
    }
  });

  // Broken by: an outage, a limit or a proxy's page that costs events; one that nobody hears of, or hears of with each try.
  it('that promise nothing keep everything, and the next try has the same ids in the same order; that is told once', async () => {
    const client = makeClient();
    const ids = await trackAll(client, 3);
    for (const reply of [
      { status: 500 },
      { status: 502 },
      { status: 503 },
      { status: 408, body: { code: 'UNAVAILABLE' } },
      { status: 429, body: { code: 'TOO_MANY_REQUESTS' } },
      // A firewall's page, a proxy's wish for a password, a router's and another program's own "not found".
      { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>' },
      { status: 407, headers: { 'content-type': 'text/plain' } },
      { status: 404, headers: { 'content-type': 'application/json' }, body: { code: 'NOT_FOUND' } },
      { status: 404, body: { title: 'Not Found' } },
      { status: 400, body: '<html>' },
      { status: 200 },
      { status: 302 },
      'break',
    ] satisfies Reply[]) {
      replies(reply);
      expect(await client.flush()).toBe(false);
    }
    const waiting = 'events wait (3) and are sent again';
    expect(errors).toEqual([{ code: 'UNSENT', status: 500, message: `${server.url}/v1/batch answered 500: {}; ${waiting}`, events: [] }]);
    expect(await client.flush()).toBe(true);
    expect(server.batches).toHaveLength(14);
    for (const { batch } of server.batches) expect(batch.map(({ messageId }) => messageId)).toEqual(ids);
    replies('break');
    await trackAll(client, 1);
    expect(await client.flush()).toBe(false);
    expect(errors.slice(1)).toEqual([
      { code: 'UNSENT', message: expect.stringMatching(/\/v1\/batch gave no answer; .*\(1\)/), events: [] },
    ]);
    await client.close();
  });

  // Broken by: an id made anew for each try; then a broken connection counts twice.
  it('that get lost after the events were taken bring no event twice', async () => {
    const client = makeClient();
    replies('take and break');
    const ids = await trackAll(client, 5);
    expect(await client.flush()).toBe(false);
    expect(await client.flush()).toBe(true);
    expect(server.batches).toHaveLength(2);
    expect(server.ids(`key-${key}`)).toEqual(ids);
    await client.close();
  });

  // Broken by: one bad event that is sent for ever, or takes its neighbours along.
  it('that name bad events report these and repeat none', async () => {
    const client = makeClient();
    server.reply = () => ({
      status: 202,
      body: { accepted: 2, errors: [{ index: 1, messageId: '', code: 'BAD_USER_INPUT', message: 'event is too long' }] },
    });
    const ids = await trackAll(client, 3);
    expect(await client.flush()).toBe(true);
    expect(errors).toEqual([
      {
        code: 'BAD_USER_INPUT',
        message: 'event is too long',
        status: 202,
        events: [expect.objectContaining({ messageId: ids[1], event: 'event-1' })],
      },
    ]);
    expect(server.batches).toHaveLength(1);
    expect(server.ids(`key-${key}`)).toEqual([ids[0], ids[2]]);
    await client.close();
  });

  // Broken by: an answer that is no JSON, names an event that was not there, or is of another shape.
  it('that are not understood do no harm', async () => {
    for (const body of [
      '<html>',
      null,
      7,
      { errors: [{ index: 9, code: 'X', message: '' }] },
      { errors: 'none' },
      { errors: 5 },
      { errors: [null, 3, {}] },
    ]) {
      const client = makeClient();
      replies({ status: 202, body });
      await trackAll(client, 1);
      expect(await client.flush()).toBe(true);
      expect(errors).toEqual([]);
      await client.close();
    }
  });

  // Broken by: a proxy with a smaller limit than the server, which would cost a hundred events.
  it('413 make batches smaller, down to the one event that is too large', async () => {
    const client = makeClient();
    server.reply = ({ batch }) => ({ status: batch.length > 3 || batch.some(({ event }) => event === 'event-7') ? 413 : 202 });
    const ids = await trackAll(client, 20);
    expect(await client.flush()).toBe(true);
    expect(codes()).toEqual(['REFUSED 413']);
    expect(errors[0]!.events.map(({ event }) => event)).toEqual(['event-7']);
    expect(server.ids(`key-${key}`)).toEqual(ids.filter((_, index) => index !== 7));
    await client.close();
  });

  // Broken by: a client that hammers a server which asked for a pause: by its timer, by flush, by more events.
  it('with Retry-After are waited for', async () => {
    const client = makeClient({ flushIntervalMs: 1 });
    replies({ status: 429, headers: { 'retry-after': '3600' } });
    await trackAll(client, 1);
    await expect.poll(() => server.batches.length).toBe(1);
    expect(await client.flush()).toBe(false);
    await trackAll(client, 150);
    expect(await client.flush()).toBe(false);
    expect(server.batches).toHaveLength(1);
    await client.close();
    expect(server.batches).toHaveLength(1);
  });

  // Broken by: a pause that ends too soon, or that nothing ends but the next event.
  it('with Retry-After are followed by the next try when it is time', async () => {
    const client = makeClient({ flushIntervalMs: 1 });
    const answeredMs: number[] = [];
    server.reply = () => (answeredMs.push(performance.now()) === 1 ? { status: 429, headers: { 'retry-after': '1' } } : { status: 202 });
    const ids = await trackAll(client, 3);
    await expect.poll(() => server.ids(`key-${key}`)).toEqual(ids);
    expect(answeredMs).toHaveLength(2);
    expect(answeredMs[1]! - answeredMs[0]!).toBeGreaterThanOrEqual(990);
    await client.close();
  });
});

describe('sending', () => {
  // Broken by: a back-off that never ends, or none (a timer of 1 ms would try hundreds of times).
  it('is tried again by itself, in growing pauses, when nobody listens', async () => {
    const reserved = createServer().listen(0, '127.0.0.1');
    await once(reserved, 'listening');
    const { port } = reserved.address() as { port: number };
    const triesMs: number[] = [];
    reserved.on('connection', (socket) => {
      triesMs.push(performance.now());
      socket.destroy();
    });
    const client = makeClient({ endpoint: `http://127.0.0.1:${port}/`, flushIntervalMs: 1 });
    const ids = await trackAll(client, 1);
    await expect.poll(() => triesMs.length).toBeGreaterThanOrEqual(3);
    const [first, second, third] = triesMs as [number, number, number];
    expect(second - first).toBeGreaterThanOrEqual(490);
    expect(third - second).toBeGreaterThanOrEqual(990);
    reserved.close();
    await once(reserved, 'close');
    expect(codes()).toEqual(['UNSENT undefined']);
    expect(ids).toHaveLength(1);
    await client.close();
  });

  // Broken by: a request without an end, which would hold up all that follow.
  it('does not wait for ever for an answer', async () => {
    const client = makeClient({ requestTimeoutMs: 200 });
    server.reply = () => 'hang';
    const ids = await trackAll(client, 1);
    expect(await client.flush()).toBe(false);
    server.reply = undefined;
    // A machine may be too slow for an answer in so short a time, once.
    await expect.poll(() => client.flush()).toBe(true);
    expect(server.ids(`key-${key}`)).toEqual(ids);
    await client.close();
  });

  // Broken by: two runs at once that send the same events, or a flush that does not see what came after the last look.
  it('is one run for all who ask at the same time, and each flush sees what was there before it', async () => {
    const client = makeClient();
    expect(await client.flush()).toBe(true);
    for (let round = 0; round < 50; round++) {
      const [id] = await trackAll(client, 1);
      expect(await Promise.all([client.flush(), client.flush(), client.flush()])).toEqual([true, true, true]);
      expect(server.taken.has(id!)).toBe(true);
    }
    expect(server.batches).toHaveLength(50);
    await client.close();
  });

  // Broken by: a batch that waits for its time though it is full; one over 500 kB; one over 100.
  it('begins when a batch is full, and holds the limits of a batch', async () => {
    const client = makeClient();
    await trackAll(client, 99);
    expect(server.batches).toHaveLength(0);
    await trackAll(client, 51);
    await expect.poll(() => server.ids(`key-${key}`).length).toBe(150);
    for (let index = 0; index < 40; index++) await client.track('large', { text: '漢'.repeat(9_000) }, { userId });
    expect(await client.flush()).toBe(true);
    expect(Math.max(...server.batches.map(({ batch }) => batch.length))).toBe(100);
    expect(Math.max(...server.batches.map(({ bytes }) => bytes))).toBeLessThanOrEqual(500_000);
    expect(server.ids(`key-${key}`)).toHaveLength(190);
    await client.close();
  });

  // Broken by: a timer that fires while a request is on its way, and is taken for one that is still to come.
  it('goes on by itself after a request that took longer than the pause between two', async () => {
    const client = makeClient({ flushIntervalMs: 1 });
    const answers: (() => void)[] = [];
    server.reply = () => new Promise((resolve) => answers.push(() => resolve({ status: 202 })));
    const ids = await trackAll(client, 1);
    await expect.poll(() => answers.length).toBe(1);
    ids.push(...(await trackAll(client, 1)));
    await setTimeout(20);
    server.reply = undefined;
    answers[0]!();
    for (let round = 0; round < 3; round++) {
      ids.push(...(await trackAll(client, 1)));
      await expect.poll(() => server.ids(`key-${key}`)).toEqual(ids);
    }
    await client.close();
  });

  // Broken by: memory that grows as long as the server is away.
  it('waits with a bounded queue', async () => {
    const client = makeClient({ queueEventsMax: 10 });
    server.reply = () => ({ status: 503 });
    const ids = await trackAll(client, 12);
    server.reply = undefined;
    expect(await client.flush()).toBe(true);
    expect(server.ids(`key-${key}`)).toEqual(ids.slice(2));
    expect(errors.map(({ code, events }) => `${code} ${events[0]!.event}`)).toEqual(['QUEUE_FULL event-0', 'QUEUE_FULL event-1']);
    await client.close();
  });
});

describe('persons', () => {
  // Broken by: a server that counts all its users as one.
  it('are named by each call of a server', async () => {
    const client = makeClient();
    expect(await client.track('nobody')).toBeUndefined();
    expect(await client.alias('ada')).toBeUndefined();
    expect(errors.map(({ code }) => code)).toEqual(['INVALID_EVENT', 'INVALID_EVENT']);
    await client.identify('ada', { plan: 'pro' });
    expect(await client.track('still nobody')).toBeUndefined();
    await client.track('somebody', {}, { anonymousId: 'a-1', sessionId: 's-1', context: { ip: '192.0.2.1' } });
    await client.flush();
    const [, somebody] = server.ids(`key-${key}`).map((id) => server.taken.get(id)!);
    expect(somebody).toMatchObject({ anonymousId: 'a-1', sessionId: 's-1' });
    expect(somebody!.context).toEqual({ ip: '192.0.2.1' });
    expect(somebody).not.toHaveProperty('userId');
    await client.close();
  });

  // Broken by: options that are missing and a client that sends into the void.
  it('of the program hear at once what is missing', () => {
    expect(() => createClient({ endpoint: '', writeKey: 'k' })).toThrow(TypeError);
    expect(() => createClient({ endpoint: 'http://localhost', writeKey: '' })).toThrow('createClient needs endpoint and writeKey');
  });

  // Broken by: an address that a browser takes for a path of the page's own site, or that nothing can be sent to, for ever.
  it('of the program hear at once that an endpoint is no address', () => {
    for (const endpoint of ['localhost:8000', 'events.example.com', '/events', '//events.example.com', 'ws://localhost', 'http://'])
      expect(() => createClient({ endpoint, writeKey: 'k' })).toThrow(`endpoint begins with https:// or http://, not "${endpoint}"`);
  });
});

describe('values', () => {
  // Broken by: an event that is lost because of one value, or a value that is lost without a word.
  it('that JSON does not have are sent as what comes nearest', async () => {
    const client = makeClient();
    const properties = { big: 2n ** 64n, error: new TypeError('deep'), date: new Date(0), not: undefined, list: [new Error('in a list')] };
    const id = await client.track('values', properties, { userId });
    const ids = [new Date(1), 1, '1970-01-01T00:00:00.001Z'].map((timestamp) => client.track('old', {}, { userId, timestamp }));
    expect(await client.flush()).toBe(true);
    expect(server.taken.get(id!)?.properties).toEqual({
      big: '18446744073709551616',
      error: { name: 'TypeError', message: 'deep' },
      date: '1970-01-01T00:00:00.000Z',
      list: [{ name: 'Error', message: 'in a list' }],
    });
    for (const old of await Promise.all(ids)) expect(server.taken.get(old!)?.timestamp).toBe('1970-01-01T00:00:00.001Z');
    expect(errors).toEqual([]);
    await client.close();
  });

  // Broken by: a library's error that tells of the request that failed, with its token, when it is made into JSON.
  it('that are errors are told by name and message alone, whatever they would say of themselves', async () => {
    const client = makeClient();
    const error = Object.assign(new Error('401'), { toJSON: () => ({ headers: { authorization: 'Bearer secret' } }) });
    const id = await client.track('failed', { error }, { userId });
    expect(await client.flush()).toBe(true);
    expect(server.taken.get(id!)?.properties).toEqual({ error: { name: 'Error', message: '401' } });
    await client.close();
  });

  // Broken by: the first instant of the calendar, taken for none; history that falls into today's session.
  it('of time past get no session, whenever that was', async () => {
    const client = makeClient({ remember: true });
    const [old, now] = [await client.track('old', {}, { timestamp: 0 }), await client.track('now')];
    expect(await client.flush()).toBe(true);
    expect([server.taken.get(old!)?.sessionId, server.taken.get(old!)?.timestamp]).toEqual([undefined, '1970-01-01T00:00:00.000Z']);
    expect(server.taken.get(now!)?.sessionId).toEqual(expect.any(String));
    await client.close();
  });

  // Broken by: a flush that never ends, and that nobody may wait for, because an address is no text.
  it('of an address that are no text are taken as one', async () => {
    const client = makeClient({ endpoint: new URL(server.url) as unknown as string });
    const id = await client.track('sent', {}, { userId });
    expect(await client.flush()).toBe(true);
    expect(server.taken.has(id!)).toBe(true);
    await client.close();
  });

  // Broken by: a report from which nobody can tell which call it was.
  it('that cannot be sent are reported with their event', async () => {
    const client = makeClient();
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    await client.track('circular', circular, { userId });
    await client.track('no time', {}, { userId, timestamp: 'yesterday' });
    await client.track('no options', {}, null as never);
    expect(errors.map(({ code, events: [event] }) => `${code} ${event?.event} ${event?.messageId !== undefined}`)).toEqual([
      'INVALID_EVENT circular true',
      'INVALID_EVENT no time true',
      'INVALID_EVENT no options true',
    ]);
    await client.close();
  });
});
