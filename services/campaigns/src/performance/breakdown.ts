/**
 * The key that tells rows of one campaign and day apart: a JSON list of name and value, sorted by name, so that the order of columns does not matter
 * and no value can pose as another. Empty without a breakdown.
 */
export const breakdownKey = (breakdown: Readonly<Record<string, string>>): string => {
  const entries = Object.entries(breakdown).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return entries.length === 0 ? '' : JSON.stringify(entries);
};
