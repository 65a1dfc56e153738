import { hash, randomBytes } from 'node:crypto';

const keyPattern = /^pca_wk_[A-Za-z0-9_-]{32}$/;
const prefixLength = 11;

/** A new key: 192 random bits, which nobody guesses, so that a plain digest of it is enough at rest. */
export const makeIngestKey = (): string => `pca_wk_${randomBytes(24).toString('base64url')}`;

export const isIngestKey = (text: string): boolean => keyPattern.test(text);

export const digestOf = (key: string): Buffer => hash('sha256', key, 'buffer');

/** What people tell keys apart by. */
export const prefixOf = (key: string): string => key.slice(0, prefixLength);
