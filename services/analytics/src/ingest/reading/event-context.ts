import type { BehaviourContext } from '@pca/contracts';
import { behaviourLimits } from '@pca/contracts';
import { type AddressPolicy, keptAddress } from './address-policy.js';
import { userAgentOf } from './user-agent.js';

type Json = Record<string, unknown>;

/** What the request itself says of a visitor; only a browser's own request says anything of one. */
export interface Visitor {
  readonly userAgent?: string | undefined;
  readonly address?: string | undefined;
}

export interface ReadContext {
  readonly context: BehaviourContext;
  readonly isBot: boolean;
  /** `context.page`: path, url, title, referrer, search. */
  readonly page: Json;
  /** What nobody here understands; undefined when nothing is left. */
  readonly rest: Json | undefined;
}

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const objectOf = (value: unknown): Json => (isObject(value) ? value : {});

/** A short text as it is kept; undefined for what is none. */
const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, behaviourLimits.idLength).toWellFormed() : undefined;

const deviceTypes: Readonly<Record<string, BehaviourContext['device']>> = {
  ...{ desktop: 'desktop', tablet: 'tablet', tv: 'tv', other: 'other' },
  // Segment's libraries for phones say the system.
  ...{ mobile: 'mobile', phone: 'mobile', ios: 'mobile', android: 'mobile' },
};
const deviceOf = (type: string | undefined): BehaviourContext['device'] => {
  const name = type?.toLowerCase();
  return name !== undefined && Object.hasOwn(deviceTypes, name) ? deviceTypes[name] : undefined;
};

const hostPattern = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:]+)/i;
/** The host that a URL names, in lower case. */
export const hostOf = (url: unknown): string | undefined =>
  typeof url === 'string' ? textOf(hostPattern.exec(url)?.[1]?.toLowerCase()) : undefined;

/** A person said no: by the consent that Segment's clients send, or by a flag that stands for DNT and Sec-GPC. */
export const isWithheld = ({ consent, doNotTrack }: Json): boolean =>
  doNotTrack === true || objectOf(objectOf(consent)['categoryPreferences'])['analytics'] === false;

/** Where an event came from, out of Segment's `context` and the request. */
export const readContext = (given: Json, visitor: Visitor, policy: AddressPolicy): ReadContext => {
  const { userAgent, ip, page: givenPage, campaign: givenCampaign, locale, timezone, consent, doNotTrack, sessionId, ...rest } = given;
  void [consent, doNotTrack, sessionId];
  const page = objectOf(givenPage);
  const campaign = objectOf(givenCampaign);
  const text = textOf(userAgent) === undefined ? visitor.userAgent : (userAgent as string);
  const agent = text === undefined ? undefined : userAgentOf(text);
  const deviceType = textOf(objectOf(rest['device'])['type']);
  const context = {
    device: deviceOf(deviceType) ?? agent?.device ?? (deviceType === undefined ? undefined : 'other'),
    browser: textOf(objectOf(rest['browser'])['name']) ?? agent?.browser,
    os: textOf(objectOf(rest['os'])['name']) ?? agent?.os,
    country: textOf(objectOf(rest['location'])['country']),
    locale: textOf(locale),
    timeZone: textOf(timezone),
    utmSource: textOf(campaign['source']),
    utmMedium: textOf(campaign['medium']),
    utmCampaign: textOf(campaign['name']),
    utmTerm: textOf(campaign['term']),
    utmContent: textOf(campaign['content']),
    ip: keptAddress(ip ?? visitor.address, policy),
  };
  // Absent keys cost bytes nowhere: JSON leaves them out.
  return { context: context as BehaviourContext, isBot: agent?.isBot ?? false, page, rest: isEmpty(rest) ? undefined : rest };
};

const isEmpty = (value: Json): boolean => {
  for (const _key in value) return false;
  return true;
};
