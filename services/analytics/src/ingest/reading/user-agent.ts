import type { BehaviourContext } from '@pca/contracts';
import Bowser from 'bowser';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';

export interface UserAgent {
  readonly device?: NonNullable<BehaviourContext['device']>;
  /** Family, such as Chrome. */
  readonly browser?: string;
  readonly os?: string;
  readonly isBot: boolean;
}

const lengthMax = 512;
const known = new LRUCache<string, UserAgent>({ max: 5_000 });
/** A name that Bowser knows; what it guesses is the client's own text. */
const families = new Set(Object.values({ ...Bowser.BROWSER_MAP, ...Bowser.OS_MAP }));
const devices = new Set<string>(['desktop', 'mobile', 'tablet', 'tv']);

/** What a User-Agent says, by family: versions and the text itself are kept nowhere but in this cache. */
export const userAgentOf = (text: string): UserAgent => {
  const cut = text.slice(0, lengthMax);
  const seen = known.get(cut);
  if (seen) return seen;
  const agent = parse(cut);
  known.set(cut, agent);
  return agent;
};

const parse = (text: string): UserAgent => {
  const { browser, os, platform } = Bowser.parse(text || 'unknown');
  return {
    device: (devices.has(platform.type ?? '') ? platform.type : 'other') as NonNullable<UserAgent['device']>,
    ...(families.has(browser.name ?? '') && { browser: browser.name as string }),
    ...(families.has(os.name ?? '') && { os: os.name as string }),
    isBot: isbot(text),
  };
};
