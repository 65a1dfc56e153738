import {
  behaviourLimits,
  type BusMessage,
  type EventContext,
  eventTracked,
  makeCheckedEvent,
  sessionEnded,
  sessionStarted,
  type TrackedEvent,
  userIdentified,
} from '@pca/contracts';
import { DomainError } from '@pca/errors';
import { v7 as uuidv7 } from 'uuid';
import { hostOf, isObject, isWithheld, readContext, type Visitor } from './event-context.js';
import type { AddressPolicy } from './address-policy.js';
import { checkEventSize } from './event-limits.js';
import { correctedTime, instantOf, isAcceptedTime } from './event-time.js';

type Json = Record<string, unknown>;

/** What all events of a request share. */
export interface Origin {
  readonly workspaceId: string;
  readonly policy: AddressPolicy;
  readonly retentionDays: number;
  readonly receivedAtMs: number;
  /** When the batch was sent, by the client's clock. */
  readonly sentAt: unknown;
  readonly visitor: Visitor;
  readonly correlationId: string;
  readonly traceparent: string | null;
}

/** An event that may go to the bus, or one that its person did not consent to. */
export interface ReadEvent {
  readonly messageId: string;
  /** Names that the dictionary has to know; undefined for what is no event of a timeline. */
  readonly name: string | undefined;
  readonly message: BusMessage | 'withheld';
}

/** The calls of the Segment HTTP spec. */
export const eventTypes = ['track', 'page', 'screen', 'identify', 'alias', 'group'] as const;
export type EventType = (typeof eventTypes)[number];

type Definition = typeof eventTracked | typeof userIdentified;
interface Kind {
  readonly definition: Definition;
  /** Of the event in the timeline; undefined where the client names it. */
  readonly name?: string;
}
/** By `type`; those of sessions, which no JSON can name, by their definition. */
const kinds = new Map<unknown, Kind>([
  ['track', { definition: eventTracked }],
  ['page', { definition: eventTracked, name: 'page' }],
  ['screen', { definition: eventTracked, name: 'screen' }],
  ['group', { definition: eventTracked, name: 'group' }],
  ['identify', { definition: userIdentified }],
  ['alias', { definition: userIdentified }],
  [sessionStarted, { definition: sessionStarted, name: '$session_start' }],
  [sessionEnded, { definition: sessionEnded, name: '$session_end' }],
]);

const pageLengthMax = 2_048;

const refused = (message: string): DomainError => new DomainError('BAD_USER_INPUT', message);

/** Ids and names are compared with what is stored, so that none may become another one on its way. */
const short = (text: string, key: string, lengthMax: number): string => {
  if (text.length > lengthMax) throw refused(`${key} has at most ${lengthMax} characters`);
  if (text.includes('\0') || !text.isWellFormed()) throw refused(`${key} holds a character that cannot be stored`);
  return text;
};

/** An id as it is kept, null when the client named none. Numbers are taken as they are written. */
const idOf = (event: Json, key: string): string | null => {
  const value = event[key];
  if (value === undefined || value === null || value === '') return null;
  const id = typeof value === 'number' ? String(value) : value;
  if (typeof id !== 'string') throw refused(`${key} is a text`);
  return short(id, key, behaviourLimits.idLength);
};

const objectOf = (event: Json, key: string): Json => {
  const value = event[key];
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw refused(`${key} is an object`);
  return value;
};

/** A text that fits a field of its own, undefined for everything else. */
const fitting = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= pageLengthMax ? value.toWellFormed() : undefined;

const pathPattern = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?([^?#]*)/i;
const pathOf = (url: unknown): string | undefined =>
  typeof url === 'string' && url !== '' ? fitting(pathPattern.exec(url)?.[1] || '/') : undefined;

/**
 * One item of a batch, or the body of a single call, as what goes to the bus. `given` is parsed JSON and is not changed. Throws
 * BAD_USER_INPUT and PAYLOAD_TOO_LARGE with what is wrong with it.
 */
export const readEvent = (given: unknown, type: unknown, origin: Origin): ReadEvent => {
  if (!isObject(given)) throw refused('An event is a JSON object');
  checkEventSize(given);
  const kind = kinds.get(type);
  if (!kind) throw refused(`type is one of ${eventTypes.join(', ')}`);
  const messageId = idOf(given, 'messageId') ?? uuidv7();
  const person = { userId: idOf(given, 'userId'), anonymousId: idOf(given, 'anonymousId') };
  if (person.userId === null && person.anonymousId === null) throw refused('userId or anonymousId is needed');
  const base = { messageId, timestamp: timestampOf(given, origin), ...person };
  const context = objectOf(given, 'context');
  const about = eventContextOf(origin, base.timestamp);
  if (kind.definition === userIdentified) {
    const payload = { ...base, previousId: previousIdOf(given, base.userId, type), traits: objectOf(given, 'traits') };
    return { messageId, name: undefined, message: isWithheld(context) ? 'withheld' : makeCheckedEvent(userIdentified, payload, about) };
  }
  const event = kind.name ?? nameOf(given);
  if (isWithheld(context)) return { messageId, name: undefined, message: 'withheld' };
  const payload: TrackedEvent = { ...base, event, ...detailsOf(given, event, context, origin) };
  return { messageId, name: event, message: makeCheckedEvent(kind.definition as typeof eventTracked, payload, about) };
};

const eventContextOf = ({ workspaceId, correlationId, traceparent }: Origin, timestamp: string): EventContext => ({
  workspaceId,
  correlationId,
  traceparent,
  occurredAt: timestamp,
});

const timestampOf = (event: Json, { receivedAtMs, sentAt: batchSentAt, retentionDays }: Origin): string => {
  const { timestamp, sentAt = batchSentAt } = event;
  if (timestamp === undefined || timestamp === null) return new Date(receivedAtMs).toISOString();
  const timestampMs = instantOf(timestamp);
  if (timestampMs === undefined) throw refused('timestamp is an ISO 8601 instant, such as 2026-01-31T10:00:00.000Z');
  const sentAtMs = sentAt === undefined || sentAt === null ? undefined : instantOf(sentAt);
  if (sentAtMs === undefined && sentAt !== undefined && sentAt !== null) throw refused('sentAt is an ISO 8601 instant');
  const ms = correctedTime(timestampMs, sentAtMs, receivedAtMs);
  if (!isAcceptedTime(ms, receivedAtMs, retentionDays)) {
    throw refused(`timestamp lies within the last ${retentionDays} days and not after tomorrow`);
  }
  return new Date(ms).toISOString();
};

const previousIdOf = (event: Json, userId: string | null, type: unknown): string | null => {
  const previousId = idOf(event, 'previousId');
  if (type === 'alias' && (previousId === null || userId === null)) throw refused('alias needs userId and previousId');
  return type === 'alias' ? previousId : null;
};

const nameOf = (event: Json): string => {
  const name = event['event'] ?? event['name'];
  if (typeof name !== 'string' || name === '') throw refused('event is the name of what happened');
  if (name.startsWith('$')) throw refused('Names that begin with "$" are reserved');
  return short(name, 'event', behaviourLimits.nameLength);
};

/** Top-level keys with a meaning, and those that tell a router of Segment's where to send an event. */
const understood = new Set([
  ...['type', 'event', 'name', 'messageId', 'userId', 'anonymousId', 'previousId', 'groupId', 'sessionId', 'timestamp', 'sentAt'],
  ...['properties', 'traits', 'context', 'category', 'writeKey', 'integrations', '_metadata'],
]);

const extraOf = (event: Json): Json | undefined => {
  let extra: Json | undefined;
  for (const key in event) if (!understood.has(key)) (extra ??= {})[key] = event[key];
  return extra;
};

type Details = Pick<TrackedEvent, 'sessionId' | 'page' | 'resource' | 'properties' | 'context' | 'isBot'>;

/** What became a field of its own is not among the properties as well. */
const detailsOf = (event: Json, name: string, givenContext: Json, origin: Origin): Details => {
  const { context, isBot, page: contextPage, rest } = readContext(givenContext, origin.visitor, origin.policy);
  const properties = propertiesOf(event, name);
  for (const key of ['title', 'url', 'referrer', 'search']) {
    const value = contextPage[key];
    if (value !== undefined && value !== '' && !(key in properties)) properties[key] = value;
  }
  const isView = name === 'page' || name === 'screen';
  const path = isView ? fitting(properties['path']) : undefined;
  if (path !== undefined) delete properties['path'];
  const resource = fitting(properties['resource']);
  if (resource !== undefined) delete properties['resource'];
  const referrerHost = hostOf(properties['referrer']);
  if (referrerHost !== undefined) context.referrerHost = referrerHost;
  const extra = extraOf(event);
  if (extra) properties['$extra'] = extra;
  if (rest) properties['$context'] = rest;
  const page =
    path ??
    (isView ? pathOf(properties['url']) : undefined) ??
    fitting(contextPage['path']) ??
    pathOf(contextPage['url']) ??
    (isView ? fitting(event['name']) : undefined);
  const sessionId = idOf(event, 'sessionId') ?? idOf(givenContext, 'sessionId');
  return { sessionId, page: page ?? null, resource: resource ?? null, properties, context, isBot };
};

/** A copy that may be changed; what a call of its kind says beside them is among them. */
const propertiesOf = (event: Json, name: string): Json => {
  if (name === 'group') {
    const groupId = idOf(event, 'groupId');
    if (groupId === null) throw refused('group needs groupId');
    return { ...objectOf(event, 'traits'), ...objectOf(event, 'properties'), groupId };
  }
  const properties = { ...objectOf(event, 'properties') };
  for (const key of ['name', 'category']) {
    if (name !== 'page' && name !== 'screen') break;
    if (typeof event[key] === 'string' && event[key] !== '') properties[key] ??= event[key];
  }
  return properties;
};
