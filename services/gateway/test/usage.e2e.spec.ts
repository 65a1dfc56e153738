import { behaviourTopic, type EventEnvelope, parseEvent, type TrackedEvent } from '@pca/contracts';
import { connectEventBus, readTopic } from '@pca/event-bus';
import { freePort, testPostgres, type TestPostgres } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readBus, readEnv, readSubgraphUrls } from '../src/env.js';
import { gatewayDefinition } from '../src/gateway.js';
import { type Fixtures, gatewayEnv, startFixtures } from './gateway-harness.js';
import { type GatewayProcess, startGatewayProcess } from './gateway-process.js';

let fixtures: Fixtures;
let postgres: TestPostgres;
beforeAll(async () => {
  [fixtures, postgres] = await Promise.all([startFixtures(), testPostgres()]);
});
afterAll(async () => {
  await fixtures.stop();
  await postgres.stop();
});

const ask = async (gateway: GatewayProcess, token: string, body: object): Promise<number> => {
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  await response.body?.cancel();
  return response.status;
};

const publishedOn = async (url: string): Promise<EventEnvelope<TrackedEvent>[]> => {
  const bus = await connectEventBus({ bus: 'postgres', url });
  const events: EventEnvelope<TrackedEvent>[] = [];
  await readTopic(bus, behaviourTopic, (messages) =>
    events.push(...messages.map(({ envelope }) => parseEvent(envelope) as EventEnvelope<TrackedEvent>)),
  );
  await bus.close();
  return events;
};

// Broken by: usage that is lost at a clean end, or told in the workspace of who is watched; a subject, a variable or a query among it.
it('tells of each finished operation, in a workspace of its own, and not who asked what', async () => {
  const { url } = await postgres.createDatabase();
  const gateway = await startGatewayProcess({ ...gatewayEnv(fixtures), BUS_URL: url, USAGE_SALT: 'salt of this installation' });
  const [ann, bob] = await Promise.all(
    ['ann@shop.test', 'bob@shop.test'].map((subject) => fixtures.issuer.issue({ role: 'viewer', subject })),
  );
  const list = 'query List($first: Int!) { campaigns(limit: $first) { id } }';
  expect(await ask(gateway, ann ?? '', { query: list, variables: { first: 4711 % 100 } })).toBe(200);
  expect(await ask(gateway, ann ?? '', { query: '{ campaign(id: "secret-id") { nope } }' })).toBe(400);
  expect(await ask(gateway, bob ?? '', { query: list, operationName: 'List', variables: { first: 1 } })).toBe(200);
  // Nobody was let in.
  expect(await ask(gateway, 'nobody', { query: list })).toBe(401);
  expect(await gateway.end()).toBe(0);

  const events = await publishedOn(url);
  expect(new Set(events.map(({ workspaceId }) => workspaceId))).toEqual(new Set(['pca-gateway']));
  const told = events.map(({ payload: { event, resource, properties } }) => ({ event, resource, ...properties }));
  const duration = expect.stringMatching(/^below \d+ ms$/) as string;
  expect(told).toHaveLength(3);
  expect(told).toEqual(
    expect.arrayContaining([
      { event: 'graphql query', resource: 'List', status: 200, duration },
      { event: 'graphql unknown', resource: 'anonymous', status: 400, code: 'GRAPHQL_VALIDATION_FAILED', duration },
    ]),
  );
  const persons = events.map(({ payload }) => payload.userId);
  expect(new Set(persons).size, 'persons are told apart').toBe(2);
  expect(JSON.stringify(events)).not.toMatch(/ann@|bob@|shop\.test|secret-id|campaigns\(/);
});

// Broken by: a request or an end that waits for the bus.
it('answers as ever while the bus is away', async () => {
  const gateway = await startGatewayProcess({ ...gatewayEnv(fixtures), BUS_URL: `postgres://nobody@127.0.0.1:${await freePort()}/none` });
  const token = await fixtures.issuer.issue({ role: 'viewer' });
  const query = '{ campaigns(limit: 1) { id } }';
  expect(await ask(gateway, token, { query })).toBe(200);
  await expect.poll(() => gateway.output()).toContain('usage cannot be published now');
  expect(await ask(gateway, token, { query })).toBe(200);
  expect(await gateway.end()).toBe(0);
});

// Broken by: usage that cannot be switched off, or a bus that must be there.
it('tells nobody without a bus, or when that is not wanted', async () => {
  const env = gatewayEnv(fixtures);
  const busOf = async (more: NodeJS.ProcessEnv): Promise<unknown> => {
    const source = { ...env, ...more };
    const { bus } = gatewayDefinition(readEnv(source), readSubgraphUrls(source), readBus(source));
    await bus?.close();
    return bus;
  };
  expect(await busOf({})).toBeUndefined();
  expect(await busOf({ BUS_URL: 'postgres://nobody@127.0.0.1:1/none', USAGE: 'false' })).toBeUndefined();
  expect(await busOf({ BUS_URL: 'postgres://nobody@127.0.0.1:1/none' })).toBeDefined();
});
