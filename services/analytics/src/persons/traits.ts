/** Most characters that the traits of an id take as JSON; the oldest ones go first. */
export const traitsLengthMax = 65_536;

/** What is said of a person: values by name, each with the time, in ms since 1970, of when it was said. */
export type Traits = ReadonlyMap<string, { readonly value: unknown; readonly at: number }>;

/** As they are stored. */
export interface StoredTraits {
  readonly traits: Readonly<Record<string, unknown>> | null;
  readonly traitTimes: Readonly<Record<string, number>> | null;
}

export const traitsOf = ({ traits, traitTimes }: StoredTraits): Traits => {
  const times = new Map(Object.entries(traitTimes ?? {}));
  return new Map(Object.entries(traits ?? {}).map(([name, value]) => [name, { value, at: times.get(name) ?? 0 }]));
};

export const traitsSaidAt = (traits: Readonly<Record<string, unknown>>, at: number): Traits =>
  new Map(Object.entries(traits).map(([name, value]) => [name, { value, at }]));

/** For each name what was said last, in whatever order it came; of two things said at once the greater as JSON. `a` if nothing changes. */
export const mergeTraits = (a: Traits, b: Traits): Traits => {
  const merged = new Map(a);
  let isChanged = false;
  for (const [name, said] of b) {
    const known = a.get(name);
    if (known && (known.at > said.at || (known.at === said.at && JSON.stringify(known.value) >= JSON.stringify(said.value)))) continue;
    merged.set(name, said);
    isChanged = true;
  }
  return isChanged ? bounded(merged) : a;
};

const bounded = (traits: Traits): Traits => {
  const sizes = new Map([...traits].map(([name, { value }]) => [name, name.length + JSON.stringify(value).length + 4]));
  let left = traitsLengthMax - [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (left >= 0) return traits;
  const kept = new Map(traits);
  const oldestFirst = [...traits].sort(([aName, a], [bName, b]) => a.at - b.at || (aName < bName ? 1 : -1));
  for (const [name] of oldestFirst) {
    if (left >= 0) break;
    kept.delete(name);
    left += sizes.get(name) ?? 0;
  }
  return kept;
};
