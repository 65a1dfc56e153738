import type { BehaviourContext, TrackedEvent } from '@pca/contracts';
import { storable, storableJson } from './stored-text.js';

/** A longer text is cut for the dictionary and kept whole among the properties. */
export const codedTextLength = 512;

/** Stands for the pages and resources that no longer have a code of their own. */
export const otherText = '(other)';

/** Longer lists of names of properties, in characters, are no shapes, since hardly another event has the same. */
const shapeLengthMax = 2_048;

/** What an event's dictionary codes stand for; an empty text is none. */
export interface CodedTexts {
  readonly page: string;
  readonly resource: string;
  /** Canonical JSON. */
  readonly context: string;
  /** JSON array of the names of the properties, in their order. */
  readonly shape: string;
}

export interface PackedEvent {
  readonly texts: CodedTexts;
  /** JSON array of the values of the shape's names; without a shape a JSON object. */
  readonly properties: string;
}

/** Which of an event's texts have no code, because the dictionary is full. */
export interface Uncoded {
  readonly page?: boolean;
  readonly resource?: boolean;
  readonly context?: boolean;
}

/**
 * The texts of an event for the dictionary, and the rest as values. What the dictionary cannot take whole is kept among the properties, under
 * `$page`, `$resource` and `$context`; the address, which is a person's own, under `$ip`.
 */
export const packEvent = (event: TrackedEvent, uncoded: Uncoded = {}): PackedEvent => {
  const page = storable(event.page ?? '');
  const resource = storable(event.resource ?? '');
  const extras = extrasOf(event, page, resource, uncoded);
  const properties = extras ? { ...event.properties, ...extras } : event.properties;
  const texts = {
    page: uncoded.page ? otherText : cut(page),
    resource: uncoded.resource ? otherText : cut(resource),
    context: contextText(event.context, uncoded.context),
  };
  const shape = storableJson(Object.keys(properties));
  if (shape === '[]' || shape.length > shapeLengthMax) return { texts: { ...texts, shape: '' }, properties: storableJson(properties) };
  return { texts: { ...texts, shape }, properties: storableJson(Object.values(properties)) };
};

/** What the dictionary cannot take whole, by the name that it gets among the properties; nearly always nothing. */
const extrasOf = (event: TrackedEvent, page: string, resource: string, uncoded: Uncoded): Record<string, unknown> | undefined => {
  const extras: Record<string, unknown> = {};
  if (uncoded.page || page.length > codedTextLength) extras['$page'] = page;
  if (uncoded.resource || resource.length > codedTextLength) extras['$resource'] = resource;
  if (event.context.ip !== undefined) extras['$ip'] = event.context.ip;
  if (uncoded.context) {
    const { ip: _ip, device: _device, browser: _browser, os: _os, ...rest } = event.context;
    extras['$context'] = { ...asObject(event.properties['$context']), ...rest };
  }
  return Object.keys(extras).length > 0 ? extras : undefined;
};

/** What is no object has no keys worth keeping. */
const asObject = (value: unknown): object | undefined => (typeof value === 'object' && value !== null ? value : undefined);

const cut = (text: string): string => (text.length <= codedTextLength ? text : text.slice(0, codedTextLength).toWellFormed());

/** Canonical JSON of what is coded of a context. `isCoarse`: of the little that hardly varies. */
const contextText = (context: BehaviourContext, isCoarse = false): string => {
  const { browser, country, device, locale, os, referrerHost, timeZone, utmCampaign, utmContent, utmMedium, utmSource, utmTerm } = context;
  // By name, so that equal contexts are equal texts; stringify leaves out what is undefined.
  const text = isCoarse
    ? storableJson({ browser, device, os })
    : storableJson({
        ...{ browser, country, device, locale, os, referrerHost },
        ...{ timeZone, utmCampaign, utmContent, utmMedium, utmSource, utmTerm },
      });
  return text === '{}' ? '' : text;
};

/** The properties as a JSON object: for an event whose shape has no code. */
export const propertiesObject = ({ texts, properties }: PackedEvent): string => {
  if (texts.shape === '') return properties;
  const values = JSON.parse(properties) as unknown[];
  return JSON.stringify(Object.fromEntries((JSON.parse(texts.shape) as string[]).map((key, i) => [key, values[i]])));
};

const uuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;

/** A UUID in its usual spelling as a zero byte and its 16 bytes; any other messageId as its UTF-8, which never begins with a zero byte. */
export const messageBytes = (messageId: string): Buffer =>
  messageId.length === 36 && uuid.test(messageId)
    ? Buffer.from(`00${messageId.replaceAll('-', '')}`, 'hex')
    : Buffer.from(storable(messageId));

/** The messageId that `messageBytes` took. */
export const messageIdOf = (bytes: Buffer): string => {
  if (bytes[0] !== 0) return bytes.toString();
  const hex = bytes.toString('hex', 1);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
};
