import { Injectable } from '@nestjs/common';
import { Questions } from '../questions/questions.service.js';

/** A person with all the ids they came under. */
export interface User {
  /** Row of the canonical person. */
  readonly person: number;
  /** Their userId, the first one that no alias replaced; the first anonymousId while nobody said who they are. */
  readonly id: string;
  /** Their other ids, userIds first; at most a thousand. */
  readonly aliases: readonly string[];
  /** Of all their ids; of a trait that was said twice, what was said last. */
  readonly traits: Readonly<Record<string, unknown>>;
}

export interface Sighting {
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
}

const aliasesMax = 1_000;
/** As stored, of all ids of a person: of what somebody piled up, the newest is shown. */
const traitBytesMax = 262_144;

/** Which id of a person speaks for them: the first in this order. */
const speaking = (table: string): string => `(not ${table}.is_known, ${table}.is_aliased, ${table}.id)`;

const wasSeen = (canonical: string, includeBots: string): string => `exists (
  select 1 from person a join event e on e.person = a.id where a.canonical = ${canonical} and (${includeBots}::boolean or not e.is_bot))`;

@Injectable()
export class UserReader {
  constructor(private readonly questions: Questions) {}

  /** The person of each id, a userId else an anonymousId, in the order of `ids`; undefined for what is nobody's. */
  async find(workspace: number, ids: readonly string[]): Promise<(number | undefined)[]> {
    const rows = await this.questions.ask<{ id: string; canonical: number }>(
      `select distinct on (external_id) external_id as id, canonical from person
       where workspace = $1 and external_id = any ($2::text[]) order by external_id, is_known desc`,
      [workspace, ids],
    );
    const byId = new Map(rows.map(({ id, canonical }) => [id, canonical]));
    return ids.map((id) => byId.get(id));
  }

  /**
   * Persons in the order of the id that speaks for them: those that did something, or of whom traits are known. `search` is looked for, as it
   * stands and without case, in all their ids, names and addresses.
   */
  async list(workspace: number, search: string | undefined, limit: number, includeBots: boolean): Promise<number[]> {
    const pattern = search === undefined ? null : `%${search.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
    const rows = await this.questions.ask<{ person: number }>(
      `select p.canonical as person from person p
       where p.workspace = $1
         and not exists (select 1 from person o where o.canonical = p.canonical and ${speaking('o')} < ${speaking('p')})
         and ($2::text is null or exists (
           select 1 from person a where a.canonical = p.canonical and (lower(a.external_id) like lower($2)
             or lower(a.traits ->> 'name') like lower($2) or lower(a.traits ->> 'email') like lower($2)
             or lower(concat_ws(' ', a.traits ->> 'firstName', a.traits ->> 'lastName')) like lower($2))))
         and (exists (select 1 from person a where a.canonical = p.canonical and a.traits_at is not null) or ${wasSeen('p.canonical', '$4')})
       order by p.external_id, p.is_known desc limit $3`,
      [workspace, pattern, limit, includeBots],
    );
    return rows.map(({ person }) => person);
  }

  /** In the order of `persons`; undefined for what is no canonical person of the workspace. */
  async byPersons(workspace: number, persons: readonly number[]): Promise<(User | undefined)[]> {
    const rows = await this.questions.ask<{ person: number; id: string; traits: unknown; traits_at: Date | null }>(
      `select person, id, case when bytes <= ${traitBytesMax} then traits end as traits, traits_at from (
         select p.canonical as person, p.external_id as id, p.traits, p.traits_at,
           row_number() over (partition by p.canonical order by ${speaking('p')}) as place,
           sum(pg_column_size(p.traits)) over (partition by p.canonical order by p.traits_at desc nulls last, p.id) as bytes
         from person p where p.workspace = $1 and p.canonical = any ($2::int[])
       ) t where place <= ${aliasesMax + 1} order by person, place`,
      [workspace, persons],
    );
    const byPerson = Map.groupBy(rows, ({ person }) => person);
    return persons.map((person) => {
      const [first, ...others] = byPerson.get(person) ?? [];
      if (!first) return undefined;
      // Nobody knows which of two that were said at the same instant came last: the speaking id's does.
      const said = [first, ...others].toReversed().sort((a, b) => Number(a.traits_at) - Number(b.traits_at));
      const traits = Object.fromEntries(said.flatMap((row) => Object.entries((row.traits ?? {}) as object)));
      return { person, id: first.id, aliases: others.map(({ id }) => id), traits };
    });
  }

  /** First and last event of each person; undefined for who did nothing. */
  async sightings(workspace: number, persons: readonly number[]): Promise<(Sighting | undefined)[]> {
    const rows = await this.questions.ask<{ person: number } & Sighting>(
      `select p.canonical as person, min(e.at) as "firstSeenAt", max(e.at) as "lastSeenAt" from person p join event e on e.person = p.id
       where p.workspace = $1 and p.canonical = any ($2::int[]) and not e.is_bot group by p.canonical`,
      [workspace, persons],
    );
    const byPerson = new Map(rows.map((row) => [row.person, row]));
    return persons.map((person) => byPerson.get(person));
  }
}
