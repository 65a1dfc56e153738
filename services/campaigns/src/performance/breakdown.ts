import { createHash } from 'node:crypto';

/** An entry of the primary key's index has to stay well below a third of a page of 8 kB. */
const keyBytesMax = 1_024;

/**
 * The key that tells rows of one campaign and day apart: JSON of name and value pairs, sorted by name, so that the order of columns does not
 * matter and no value can pose as another; a hash of that text where it is long. Empty without a breakdown. The same as the key of an
 * imported row, so that a row can be restated by either way.
 */
export const breakdownKey = (breakdown: Readonly<Record<string, string>>): string => {
  const entries = Object.entries(breakdown).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  if (entries.length === 0) return '';
  const key = JSON.stringify(entries);
  return Buffer.byteLength(key) <= keyBytesMax ? key : `sha256:${createHash('sha256').update(key).digest('hex')}`;
};
