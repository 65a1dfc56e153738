const dayMs = 86_400_000;
const skewMsMax = 5_000;
const isoInstant = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/i;

/** Milliseconds of an ISO 8601 instant, in UTC where it names no offset; undefined when it is none. */
export const instantOf = (value: unknown): number | undefined => {
  if (typeof value !== 'string') return undefined;
  const match = isoInstant.exec(value);
  if (!match) return undefined;
  const ms = Date.parse(match[1] === undefined && value.length > 10 ? `${value}Z` : value);
  return Number.isNaN(ms) ? undefined : ms;
};

/**
 * When it happened by the server's clock: a device whose clock is off by more than five seconds when it sends was off by as much when it
 * happened.
 */
export const correctedTime = (timestampMs: number, sentAtMs: number | undefined, receivedAtMs: number): number => {
  const skewMs = sentAtMs === undefined ? 0 : receivedAtMs - sentAtMs;
  return Math.abs(skewMs) > skewMsMax ? timestampMs + skewMs : timestampMs;
};

/** Not before what the workspace keeps, and not after tomorrow, which no clock is off by that was corrected. */
export const isAcceptedTime = (ms: number, nowMs: number, retentionDays: number): boolean =>
  ms >= nowMs - retentionDays * dayMs && ms <= nowMs + dayMs;
