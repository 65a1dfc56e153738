import { expect, it } from 'vitest';
import { validate, version } from 'uuid';
import { z } from 'zod';
import { campaignDeleted, defineEvent, eventDefinitions, isRole, makeEvent, parseEvent, roleScopes, scopes } from './index.js';

const context = { workspaceId: 'demo', correlationId: 'c1' };
const payload = { campaignId: '0198c5f0-0000-7000-8000-000000000001', version: 2, actor: 'ann' };

it('makes an envelope that parses back to the same event', () => {
  const message = makeEvent(campaignDeleted, payload, context);
  expect(message).toMatchObject({ topic: 'campaigns.events.v1', key: payload.campaignId });
  expect(parseEvent(JSON.parse(JSON.stringify(message.envelope)))).toEqual(message.envelope);
});

// Broken by: a clock in another unit or width, a version or variant put over the wrong digits, randomness that repeats.
it('gives each event a UUIDv7 of its time', () => {
  const ids = Array.from({ length: 1_000 }, () => makeEvent(campaignDeleted, payload, context).envelope);
  for (const { id, receivedAt } of ids) {
    expect(validate(id) && version(id) === 7, id).toBe(true);
    expect(parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(Date.parse(receivedAt));
  }
  expect(new Set(ids.map(({ id }) => id)).size).toBe(ids.length);
});

it('refuses a payload that breaks its contract, at the producer and at the consumer', () => {
  expect(() => makeEvent(campaignDeleted, { ...payload, version: 0 }, context)).toThrow(z.ZodError);
  const { envelope } = makeEvent(campaignDeleted, payload, context);
  expect(() => parseEvent({ ...envelope, payload: { ...payload, campaignId: 'x' } })).toThrow(/campaign.deleted.v1: campaignId/);
  expect(() => parseEvent({ ...envelope, type: 'campaign.deleted.v9' })).toThrow(
    'Unknown event type campaign.deleted.v9; known is campaign.deleted.v1',
  );
  expect(() => parseEvent({ ...envelope, type: 'nobody.knows.v1' })).toThrow(/^Unknown event type nobody\.knows\.v1$/);
  expect(() => parseEvent({ ...envelope, version: 2 })).toThrow('campaign.deleted.v1 has version 1, not 2');
  expect(() => parseEvent({ ...envelope, workspaceId: '../x' })).toThrow(/workspaceId/);
});

it('defines each type once, versioned', () => {
  const definition = { topic: 't', producer: 'p', description: 'd', schema: z.object({}), key: () => 'k' };
  expect(() => defineEvent({ ...definition, type: 'campaign.deleted.v1' })).toThrow(/twice/);
  expect(() => defineEvent({ ...definition, type: 'campaign.deleted' })).toThrow(/major version/);
  expect(new Set(eventDefinitions().map((event) => event.type)).size).toBe(eventDefinitions().length);
});

it('gives each role the scopes of the one below it', () => {
  const ladder = ['viewer', 'analyst', 'editor', 'owner'] as const;
  for (const [index, role] of ladder.entries()) {
    for (const lower of ladder.slice(0, index)) expect(roleScopes[role]).toEqual(expect.arrayContaining([...roleScopes[lower]]));
  }
  expect(roleScopes.owner).not.toContain('chaos:run');
  expect(roleScopes.admin).toEqual(scopes);
  expect(isRole('toString')).toBe(false);
});
