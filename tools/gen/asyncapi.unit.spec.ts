import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import specs from '@asyncapi/specs';
import { eventDefinitions } from '@pca/contracts';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { asyncapiOf, channelIdOf, keyTemplateOf } from './asyncapi.ts';

interface Document {
  channels: Record<string, { messages: Record<string, { $ref: string }> }>;
  components: { messages: Record<string, { payload?: { allOf: object[] } }>; schemas: Record<string, object> };
}

const document = asyncapiOf('1.2.3', eventDefinitions()) as unknown as Document;
const schema = specs.schemasWithoutId['3.0.0'] as object;

describe('asyncapiOf', () => {
  it('is a valid AsyncAPI 3.0 document', () => {
    const validate = new Ajv({ strict: false, logger: false, validateFormats: false }).compile(schema);
    validate(document);
    expect(validate.errors).toBeNull();
    expect(validate({ ...document, channels: { x: { address: 1 } } })).toBe(false);
  });

  it('is committed as it is now', () => {
    const committed = JSON.parse(readFileSync(join(import.meta.dirname, '../../docs/asyncapi.json'), 'utf8')) as {
      info: { version: string };
    };
    expect(committed).toEqual(asyncapiOf(committed.info.version, eventDefinitions()));
  });

  it('has every event on the channel of its topic, and every reference leads somewhere', () => {
    for (const { type, topic } of eventDefinitions()) {
      expect(document.channels[channelIdOf(topic)]?.messages[type]).toEqual({ $ref: `#/components/messages/${type}` });
    }
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path ?? '');
    expect(refs.length).toBeGreaterThan(eventDefinitions().length);
    for (const ref of refs)
      expect(
        ref.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document),
        ref,
      ).toBeDefined();
  });

  it('describes payloads as something that a real event fits and a broken one does not', () => {
    const { payload } = document.components.messages['campaign.deleted.v1'] ?? {};
    const validate = new Ajv({ strict: false, validateFormats: false }).compile({ ...payload, components: document.components });
    const event = {
      id: '01926d4e-0000-7000-8000-000000000000',
      type: 'campaign.deleted.v1',
      version: 1,
      workspaceId: 'demo',
      occurredAt: '2026-01-01T00:00:00Z',
      receivedAt: '2026-01-01T00:00:00Z',
      producer: 'campaigns',
      correlationId: 'c',
      causationId: null,
      traceparent: null,
      payload: { campaignId: '01926d4e-0000-7000-8000-000000000001', version: 2, actor: 'a' },
    };
    validate(event);
    expect(validate.errors).toBeNull();
    expect(validate({ ...event, payload: { ...event.payload, version: 0 } })).toBe(false);
    expect(validate({ ...event, type: 'campaign.created.v1' })).toBe(false);
  });

  it('is the same whatever order the events were defined in', () => {
    expect(JSON.stringify(asyncapiOf('1.2.3', [...eventDefinitions()].reverse()))).toBe(JSON.stringify(document));
  });
});

describe('keyTemplateOf', () => {
  it('shows which fields a key is made of', () => {
    expect(keyTemplateOf({ key: (payload) => (payload['campaign'] as { id: string }).id })).toBe('{campaign.id}');
    expect(keyTemplateOf({ key: (payload, workspaceId) => `${workspaceId}:${String(payload['userId'])}` })).toBe('{workspaceId}:{userId}');
  });
});
