import type { EventEnvelope } from './envelope.js';

type Json = Record<string, unknown>;
type Check = (value: unknown) => boolean;

const uuid = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
const day = '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
const instant = new RegExp(`^\\d{4}-${day}T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d\\.\\d{3}Z$`);
const workspaceId = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

const like =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const text =
  (lengthMax: number, lengthMin = 0): Check =>
  (value) =>
    typeof value === 'string' && value.length >= lengthMin && value.length <= lengthMax;
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Exactly these keys, each as its check says; an own `__proto__` is none of them. */
const hasShape = (value: unknown, checks: ReadonlyMap<string, Check>, keysMin: number): value is Json => {
  if (!isObject(value)) return false;
  let keys = 0;
  for (const key in value) {
    const check = checks.get(key);
    if (!check?.(value[key])) return false;
    keys += 1;
  }
  return keys >= keysMin;
};

const anyText = text(Infinity);
const envelopeChecks = new Map<string, Check>([
  ['id', like(uuid)],
  ['type', anyText],
  ['version', (value) => Number.isSafeInteger(value) && (value as number) > 0],
  ['workspaceId', like(workspaceId)],
  ['occurredAt', like(instant)],
  ['receivedAt', like(instant)],
  ['producer', anyText],
  ['correlationId', anyText],
  ['causationId', orNull(anyText)],
  ['traceparent', orNull(anyText)],
  ['payload', isObject],
]);

const devices = new Set<unknown>(['desktop', 'mobile', 'tablet', 'tv', 'other']);
const contextTexts = ['browser', 'os', 'country', 'locale', 'timeZone', 'referrerHost', 'ip'];
const contextChecks = new Map<string, Check>([
  ['device', (value) => devices.has(value)],
  ...[...contextTexts, 'utmSource', 'utmMedium', 'utmCampaign', 'utmTerm', 'utmContent'].map((key) => [key, text(256)] as const),
]);

const trackedChecks = new Map<string, Check>([
  ['messageId', text(256, 1)],
  ['timestamp', like(instant)],
  ['userId', orNull(text(256, 1))],
  ['anonymousId', orNull(text(256, 1))],
  ['event', text(256, 1)],
  ['sessionId', orNull(text(256, 1))],
  ['page', orNull(text(2_048))],
  ['resource', orNull(text(2_048))],
  ['properties', (value) => isObject(value) && !Object.hasOwn(value, '__proto__')],
  ['context', (value) => hasShape(value, contextChecks, 0)],
  ['isBot', (value) => typeof value === 'boolean'],
]);

/**
 * Whether parsed JSON is surely an envelope as it stands, without a key too many. False says nothing: the schema has the last word. Thousands
 * of events come in a second, nearly all of them well-formed, and a schema makes fifty objects of each.
 */
export const isSurelyEnvelope = (value: unknown): value is EventEnvelope => hasShape(value, envelopeChecks, envelopeChecks.size);

/** The same of the payload of a tracked event. */
export const isSurelyTracked = (value: unknown): boolean =>
  hasShape(value, trackedChecks, trackedChecks.size) && (value['userId'] !== null || value['anonymousId'] !== null);
