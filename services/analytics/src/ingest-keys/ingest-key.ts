import { createHmac, hash, randomBytes } from 'node:crypto';

const marker = 'pca_wk_';
const secretBytes = 24;
const keyPattern = /^pca_wk_[A-Za-z0-9_-]{32}$/;
const prefixLength = marker.length + 4;

const keyOf = (bytes: Buffer): string => `${marker}${bytes.toString('base64url')}`;

/** A new key: 192 random bits, which nobody guesses, so that a plain digest of it is enough at rest. */
export const makeIngestKey = (): string => keyOf(randomBytes(secretBytes));

/** The key that follows from a secret, the same each time for the same number. */
export const ingestKeyFrom = (secret: Buffer, number: number): string =>
  keyOf(createHmac('sha256', secret).update(String(number)).digest().subarray(0, secretBytes));

export const isIngestKey = (text: string): boolean => keyPattern.test(text);

export const digestOf = (key: string): Buffer => hash('sha256', key, 'buffer');

/** What people tell keys apart by. */
export const prefixOf = (key: string): string => key.slice(0, prefixLength);
