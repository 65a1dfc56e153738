/** A session that follows from inactivity, by somebody who was in it and an instant that lies in it. */
export interface DerivedSession {
  /** Row of the person, which may belong to another person by now. */
  readonly person: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

const pattern = /^~([0-9a-z]{1,6})\.(-?[0-9a-z]{1,9})$/;
const personMax = 2 ** 31 - 1;

/** Opaque to clients. It stays good when persons are merged, and when an event comes late that makes the session longer. */
export const encodeSessionId = ({ person, atMs }: DerivedSession): string => `~${person.toString(36)}.${atMs.toString(36)}`;

/** Undefined for what is no id of a derived session; a client's own name may be anything. */
export const decodeSessionId = (id: string): DerivedSession | undefined => {
  const [whole, personText = '', atText = ''] = pattern.exec(id) ?? [];
  if (whole === undefined) return undefined;
  const person = parseInt(personText, 36);
  const atMs = parseInt(atText, 36);
  return person > personMax ? undefined : { person, atMs };
};
