import { behaviourLimits } from '@pca/contracts';
import { DomainError } from '@pca/errors';

/** What one request may hold. Bytes are of UTF-8 JSON; `depth` and `keys` are of `properties`, `traits` and `context` each. */
export const ingestLimits = {
  batchBytes: 500 * 1024,
  batchEvents: 1_000,
  eventBytes: behaviourLimits.eventBytes,
  depth: 8,
  keys: 200,
} as const;

const refused = (message: string): DomainError => new DomainError('BAD_USER_INPUT', message);

/** A character that is escaped takes six bytes, one that is not at most three. */
const bytesPerUnitMax = 6;

/**
 * Looks at every value of an event before anything else does, so that what follows may trust its size and depth. Throws BAD_USER_INPUT for
 * nesting and keys, PAYLOAD_TOO_LARGE for its bytes.
 */
export const checkEventSize = (event: Record<string, unknown>): void => {
  const units = weigh(event, ingestLimits.depth + 1);
  if (units * bytesPerUnitMax <= ingestLimits.eventBytes) return;
  const bytes = Buffer.byteLength(JSON.stringify(event));
  if (bytes <= ingestLimits.eventBytes) return;
  throw new DomainError('PAYLOAD_TOO_LARGE', `An event has at most ${ingestLimits.eventBytes} bytes, not ${bytes}`);
};

/** UTF-16 units of the value as JSON or more, not counting what escapes add. */
const weigh = (value: unknown, depthLeft: number): number => {
  if (typeof value === 'string') return value.length + 4;
  if (value === null || typeof value !== 'object') return 5;
  if (depthLeft === 0) throw refused(`Nothing is nested deeper than ${ingestLimits.depth} levels`);
  let units = 2;
  if (Array.isArray(value)) {
    for (const each of value) units += weigh(each, depthLeft - 1);
    return units;
  }
  let keys = 0;
  for (const key in value) {
    keys += 1;
    // JSON makes it a plain key; whoever copies the object key by key would set a prototype instead.
    if (key === '__proto__') throw refused('No key is called __proto__');
    units += key.length + 4 + weigh((value as Record<string, unknown>)[key], depthLeft - 1);
  }
  if (keys > ingestLimits.keys) throw refused(`An object has at most ${ingestLimits.keys} keys, not ${keys}`);
  return units;
};
