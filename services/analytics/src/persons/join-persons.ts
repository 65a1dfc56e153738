/** An id as the database has it. */
export interface Member {
  readonly id: number;
  readonly isKnown: boolean;
  /** Another id took its place. */
  readonly isAliased: boolean;
  readonly externalId: string;
  /** Who speaks for the person that it belongs to. */
  readonly canonical: number;
}

/**
 * Two ids of one person. `identify`: an anonymous one became known as `to`; where it belongs to another known one already, as on a shared
 * device, nothing is joined. `alias`: `from` is called `to` from now on; joined in any case.
 */
export interface Join {
  readonly kind: 'identify' | 'alias';
  readonly from: number;
  readonly to: number;
}

export interface JoinPlan {
  /** Ids that are aliased now and were not before. */
  readonly aliased: readonly number[];
  /** Persons that are part of another one now, by who spoke for them, with who speaks for the whole. */
  readonly moved: ReadonlyMap<number, number>;
  /** Who speaks for persons of whom it has to be found out anew, among all their ids. */
  readonly unsettled: readonly number[];
}

interface Person {
  speaker: Member;
  isUnsettled: boolean;
}

/** Who speaks for a person: known before anonymous, not aliased before aliased, then the smallest id, by its bytes in UTF-8. */
export const bySpeaker = (a: Member, b: Member): number =>
  Number(b.isKnown) - Number(a.isKnown) ||
  Number(a.isAliased) - Number(b.isAliased) ||
  Buffer.compare(Buffer.from(a.externalId), Buffer.from(b.externalId));

/** What joins, one after the other, change. `members`: the ids that they name, and those who speak for them. */
export const joinPersons = (members: readonly Member[], joins: readonly Join[]): JoinPlan => {
  const byId = new Map(members.map((member) => [member.id, member]));
  const persons = new Map<number, Person>();
  const aliased: number[] = [];
  const moved = new Map<number, number>();
  const personOf = (id: number): Person => {
    const { canonical } = byId.get(id) as Member;
    const person = persons.get(canonical) ?? { speaker: byId.get(canonical) as Member, isUnsettled: false };
    persons.set(canonical, person);
    return person;
  };
  for (const { kind, from, to } of joins) {
    if (from === to) continue;
    const [joined, into] = [personOf(from), personOf(to)];
    const member = byId.get(from) as Member;
    if (kind === 'alias' && !member.isAliased) {
      const changed = { ...member, isAliased: true };
      byId.set(from, changed);
      aliased.push(from);
      if (joined.speaker.id === from) Object.assign(joined, { speaker: changed, isUnsettled: true });
    }
    // Whoever is known speaks before whoever is not, so the speaker tells whether anybody of the person is known.
    if (joined === into || (kind === 'identify' && joined.speaker.isKnown)) continue;
    into.speaker = bySpeaker(joined.speaker, into.speaker) < 0 ? joined.speaker : into.speaker;
    into.isUnsettled ||= joined.isUnsettled;
    for (const [canonical, person] of persons) if (person === joined) persons.set(canonical, into);
  }
  for (const [canonical, { speaker }] of persons) if (canonical !== speaker.id) moved.set(canonical, speaker.id);
  const unsettled = new Set([...persons.values()].filter(({ isUnsettled }) => isUnsettled).map(({ speaker }) => speaker.id));
  return { aliased, moved, unsettled: [...unsettled] };
};
