/** Postgres stores no NUL, and UTF-8 has no lone surrogates: U+FFFD stands for either. */
export const storable = (text: string): string => {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', '\uFFFD') : wellFormed;
};

/** How JSON.stringify writes NUL and lone surrogates; harmless texts that look alike are cleaned for nothing. */
const suspect = /\\u(?:0000|d[89a-f])/;

/** JSON that Postgres reads. */
export const storableJson = (value: unknown): string => {
  const text = JSON.stringify(value);
  return suspect.test(text) ? JSON.stringify(cleaned(value)) : text;
};

/** The value itself where Postgres reads its JSON, else a copy that it does. */
export const storableValue = <T>(value: T): T => (suspect.test(JSON.stringify(value)) ? (cleaned(value) as T) : value);

const cleaned = (value: unknown): unknown => {
  if (typeof value === 'string') return storable(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [storable(key), cleaned(each)]));
};

/** Whether a value of JSON nests deeper than `levels`; a text or number has no level. */
export const isDeeperThan = (levels: number, value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) if (isDeeperThan(levels - 1, (value as Record<string, unknown>)[key])) return true;
  return false;
};
